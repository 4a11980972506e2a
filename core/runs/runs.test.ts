import assert from "node:assert/strict";
import { test } from "node:test";
import { DaimonError } from "../base/errors.ts";
import type { Handler } from "../define/context.ts";
import { STRANGER } from "../define/label.ts";
import { testEngine } from "../test/engine.ts";

test("a run's steps are kept one by one, and its result with it", async (t) => {
  const engine = await testEngine(t, {
    count: {
      run: async ({ step, event }) => {
        const one = await step.run("one", () => ({ n: Number(event.data.n) }));
        const two = await step.run("two", () => one.n + 1);
        return { sum: one.n + two };
      },
    },
  });
  const run = await engine.until(await engine.send("count", { n: 20 }));
  assert.equal(run.status, "completed");
  assert.deepEqual(run.result, { sum: 41 });
  assert.deepEqual(
    run.steps.map((step) => [step.key, step.status, step.value]),
    [
      ["one", "completed", { n: 20 }],
      ["two", "completed", 21],
    ],
  );
});

test("a step that is kept is not executed again when its run is tried again", async (t) => {
  let paid = 0;
  let tries = 0;
  const engine = await testEngine(t, {
    flaky: {
      run: async ({ step }) => {
        await step.run("pay", () => ++paid);
        await step.run("fail", () => {
          if (++tries < 3) throw new Error("not yet");
        });
        return paid;
      },
    },
  });
  const run = await engine.until(await engine.send("flaky"));
  assert.deepEqual([run.status, run.result, paid, tries, run.attempts], ["completed", 1, 1, 3, 2]);
});

test("a run that fails too often is dead, says why, and can be retried by a person", async (t) => {
  let broken = true;
  let paid = 0;
  const engine = await testEngine(t, {
    broken: {
      run: async ({ step }) => {
        await step.run("pay", () => ++paid);
        if (broken) throw new DaimonError("far.away", "The far side is away.", "Wait.");
        return "mended";
      },
    },
  });
  const id = await engine.send("broken");
  const dead = await engine.until(id);
  assert.deepEqual([dead.status, dead.attempts], ["failed", 3]);
  assert.deepEqual(dead.error, { code: "far.away", message: "The far side is away.", next: "Wait." });
  broken = false;
  assert.deepEqual(await engine.runs.retry(id), { done: true, status: "queued" });
  const mended = await engine.until(id);
  assert.deepEqual([mended.status, mended.result, paid], ["completed", "mended", 1]);
  assert.deepEqual(await engine.runs.retry(id), { done: false, status: "completed" });
  assert.equal(await engine.runs.retry("run_none"), null);
});

test("a run that works past its minutes fails with the reason, and has them again when it is retried", async (t) => {
  const second = Promise.withResolvers<void>();
  let tries = 0;
  const engine = await testEngine(t, {
    slow: {
      limits: { minutes: 0.3 / 60 },
      run: async ({ signal }) => {
        if (++tries > 1) return await second.promise;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
  });
  const id = await engine.send("slow");
  const late = await engine.until(id);
  assert.deepEqual([late.status, late.error?.code, tries], ["failed", "limit.minutes", 1]);
  await engine.runs.retry(id);
  while (tries < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  second.resolve();
  assert.equal((await engine.until(id)).status, "completed");
});

test("an error that no try would mend ends the run at once", async (t) => {
  const engine = await testEngine(t, {
    wrong: {
      run: async () => {
        throw new DaimonError("secret.missing", "The secret X is not set.");
      },
    },
  });
  const run = await engine.until(await engine.send("wrong"));
  assert.deepEqual([run.status, run.attempts], ["failed", 1]);
});

test("a step with tries of its own is tried again without failing the run, and its last error can be caught", async (t) => {
  let tries = 0;
  const engine = await testEngine(t, {
    stubborn: {
      run: async ({ step }) => {
        try {
          await step.run("never", () => Promise.reject(new Error(`no ${++tries}`)), { attempts: 1 });
        } catch (error) {
          await step.sleep("a moment", "20ms");
          return (error as Error).message;
        }
      },
    },
  });
  const run = await engine.until(await engine.send("stubborn"));
  assert.deepEqual([run.status, run.result, run.attempts, tries], ["completed", "Error: no 1", 0, 1]);
});

test("a sleeping run holds no slot, and goes on where it was", async (t) => {
  let before = 0;
  const engine = await testEngine(
    t,
    {
      sleeper: {
        run: async ({ step }) => {
          await step.run("before", () => ++before);
          await step.sleep("night", "300ms");
          return await step.run("after", () => "awake");
        },
      },
      quick: { run: async () => "quick" },
    },
    { concurrency: 1 },
  );
  const sleeper = await engine.send("sleeper");
  const asleep = await engine.until(sleeper, "waiting");
  assert.deepEqual(asleep.waiting, { kind: "sleep", step: "night" });
  assert.equal((await engine.until(await engine.send("quick"))).result, "quick");
  const awake = await engine.until(sleeper);
  assert.deepEqual([awake.result, before], ["awake", 1]);
});

test("a run waits for an event that fits, and one that came early is not lost", async (t) => {
  const engine = await testEngine(t, {
    waiter: {
      run: async ({ step }) => {
        await step.sleep("late", "200ms");
        const early = await step.waitForEvent("early", { source: "test", type: "signal", where: { n: 1 } }, "5s");
        const late = await step.waitForEvent(
          "late signal",
          { source: "test", type: "signal", where: { n: [2, 3] } },
          "5s",
        );
        return [early?.data, late?.data];
      },
    },
  });
  const id = await engine.send("waiter");
  const signal = (n: number) => engine.runs.dispatch({ source: "test", type: "signal", data: { n }, label: STRANGER });
  await signal(9);
  await signal(1);
  const waiting = await engine.until(id, "waiting");
  assert.equal(waiting.status, "waiting");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await signal(3);
  const run = await engine.until(id);
  assert.deepEqual(run.result, [{ n: 1 }, { n: 3 }]);
});

test("the same event is not taken by two waits for the same", async (t) => {
  const engine = await testEngine(t, {
    twice: {
      run: async ({ wait }) => {
        const match = { source: "test", type: "tick" };
        return [(await wait("first", match, "5s"))?.data, (await wait("second", match, "5s"))?.data];
      },
    },
  });
  const id = await engine.send("twice");
  for (const n of [1, 2]) await engine.runs.dispatch({ source: "test", type: "tick", data: { n }, label: STRANGER });
  assert.deepEqual((await engine.until(id)).result, [{ n: 1 }, { n: 2 }]);
});

test("a wait that nobody answers ends with null", async (t) => {
  const engine = await testEngine(t, {
    patient: { run: async ({ wait }) => (await wait("for ever", { source: "nobody" }, "100ms")) === null },
  });
  assert.equal((await engine.until(await engine.send("patient"))).result, true);
});

test("waiting side by side goes on with whichever comes first", async (t) => {
  const engine = await testEngine(t, {
    race: {
      run: async ({ step }) =>
        await Promise.race([
          step.waitForEvent("signal", { source: "nobody" }, "1h").then(() => "signal"),
          step.sleep("timeout", "100ms").then(() => "timeout"),
        ]),
    },
  });
  assert.equal((await engine.until(await engine.send("race"))).result, "timeout");
});

test("an approval is asked once and answered once", async (t) => {
  const engine = await testEngine(t, {
    careful: {
      run: async ({ approve }) =>
        await approve("send", { title: "Send the mail", action: { tool: "mail", input: { to: "ann" } } }),
    },
  });
  for (const [answer, result] of [
    ["approved", true],
    ["denied", false],
  ] as const) {
    const id = await engine.send("careful");
    await engine.until(id, "waiting");
    const [approval] = await engine.database.query<{ id: string; title: string }>(
      "select id, title from approvals where run_id = $1",
      [id],
    );
    assert.equal(approval!.title, "Send the mail");
    await engine.runs.answer(approval!.id, answer, "owner");
    await assert.rejects(engine.runs.answer(approval!.id, answer, "owner"), { code: "approval.answered" });
    assert.equal((await engine.until(id)).result, result);
  }
  await assert.rejects(engine.runs.answer("apr_none", "approved", "owner"), { code: "approval.missing" });
});

test("an answer is bound to the exact action: changed code may not use it for another", async (t) => {
  const careful = (to: string) => ({
    run: async ({ approve }: Parameters<Handler>[0]) =>
      await approve("send", { title: "Send the mail", action: { tool: "mail", input: { to } } }),
  });
  const engine = await testEngine(t, { careful: careful("ann") });
  const id = await engine.send("careful");
  await engine.until(id, "waiting");
  const [approval] = await engine.database.query<{ id: string }>("select id from approvals where run_id = $1", [id]);
  engine.handlers.careful = careful("mallory");
  await engine.runs.answer(approval!.id, "approved", "owner");
  assert.equal((await engine.until(id)).error?.code, "run.changed");
});

test("an approval that nobody gives is over in time, and counts as no", async (t) => {
  const engine = await testEngine(t, {
    careful: {
      run: async ({ approve }) =>
        await approve("act", { title: "Act", action: { tool: "x", input: 1 }, timeout: "80ms" }),
    },
  });
  const run = await engine.until(await engine.send("careful"));
  assert.equal(run.result, false);
  const [approval] = await engine.database.query<{ status: string }>("select status from approvals where run_id = $1", [
    run.id,
  ]);
  assert.equal(approval!.status, "expired");
});

test("cancel reaches a queued, a waiting and a running run within a second", async (t) => {
  const seen: string[] = [];
  const engine = await testEngine(t, {
    long: {
      run: async ({ step }) =>
        await step.run(
          "work",
          (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(seen.push("aborted")))),
        ),
    },
    sleeper: { run: async ({ step }) => await step.sleep("night", "1h") },
  });
  const [long, sleeper] = [await engine.send("long"), await engine.send("sleeper")];
  await engine.until(long, "running");
  await engine.until(sleeper, "waiting");
  const began = performance.now();
  await engine.runs.cancel(long);
  await engine.runs.cancel(sleeper);
  assert.equal((await engine.until(long)).status, "canceled");
  assert.equal((await engine.until(sleeper)).status, "canceled");
  assert.ok(performance.now() - began < 1000);
  assert.deepEqual(seen, ["aborted"]);
  assert.deepEqual(await engine.runs.cancel(long), { done: false, status: "canceled" });
});

test("STOP cancels what runs, claims nothing, and can be released", async (t) => {
  const engine = await testEngine(t, {
    long: { run: async ({ step }) => await step.run("work", () => new Promise(() => {})) },
    quick: { run: async () => "quick" },
  });
  const long = await engine.send("long");
  await engine.until(long, "running");
  await engine.runs.setStopped(true);
  assert.equal((await engine.until(long)).status, "canceled");
  const quick = await engine.send("quick");
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await engine.until(quick, "queued");
  await engine.runs.setStopped(false);
  assert.equal((await engine.until(quick)).result, "quick");
});

test("of one key only so many run at a time, of others as many as there is room for", async (t) => {
  const busy = new Map<string, number>();
  const most = new Map<string, number>();
  const engine = await testEngine(t, {
    keyed: {
      concurrency: { key: "customer", limit: 2 },
      run: async ({ event, step }) => {
        const customer = String(event.data.customer);
        busy.set(customer, (busy.get(customer) ?? 0) + 1);
        most.set(customer, Math.max(most.get(customer) ?? 0, busy.get(customer)!));
        await step.run("work", () => new Promise((resolve) => setTimeout(resolve, 30)));
        busy.set(customer, busy.get(customer)! - 1);
      },
    },
  });
  const ids = await Promise.all(
    ["ann", "bob"].flatMap((customer) => Array.from({ length: 8 }, () => engine.send("keyed", { customer }))),
  );
  for (const id of ids) assert.equal((await engine.until(id)).status, "completed");
  assert.deepEqual([most.get("ann"), most.get("bob")], [2, 2]);
});

test("a run of higher priority goes first", async (t) => {
  const order: string[] = [];
  const note = (name: string) => async () => void order.push(name);
  const engine = await testEngine(
    t,
    { low: { run: note("low") }, high: { run: note("high"), priority: 5 } },
    { concurrency: 1, idle: true },
  );
  const ids = [await engine.send("low"), await engine.send("low"), await engine.send("high")];
  await engine.runs.start();
  t.after(() => engine.runs.stop(100));
  for (const id of ids) await engine.until(id);
  assert.deepEqual(order, ["high", "low", "low"]);
});

test("code that changed under a waiting run is told of, unless it goes on the same way", async (t) => {
  const engine = await testEngine(t, {
    same: {
      version: "1",
      run: async ({ step }) => [await step.run("a", () => 1), await step.sleep("z", "1500ms")],
    },
    other: {
      version: "1",
      run: async ({ step }) => [await step.run("a", () => 1), await step.sleep("z", "1500ms")],
    },
  });
  const ids = [await engine.send("same"), await engine.send("other")];
  for (const id of ids) await engine.until(id, "waiting");
  engine.handlers.same = {
    version: "2",
    run: async ({ step }) => [
      await step.run("a", () => 2),
      await step.sleep("z", "1500ms"),
      await step.run("new", () => 3),
    ],
  };
  engine.handlers.other = {
    version: "2",
    run: async ({ step }) => await step.run("something else", () => 2),
  };
  assert.deepEqual((await engine.until(ids[0]!)).result, [1, null, 3]);
  const changed = await engine.until(ids[1]!);
  assert.equal(changed.status, "failed");
  assert.equal(changed.error?.code, "run.changed");
  assert.match(changed.error!.message, /asks for step "something else", but the journal goes on with "a"/);
});

test("a run whose handler is gone fails with a sentence and can be retried when it is back", async (t) => {
  const engine = await testEngine(t, { here: { run: async () => "back" } }, { idle: true });
  const id = await engine.send("here");
  const { here } = engine.handlers;
  delete engine.handlers.here;
  await engine.runs.start();
  t.after(() => engine.runs.stop(100));
  assert.equal((await engine.until(id)).error?.code, "handler.missing");
  engine.handlers.here = here!;
  await engine.runs.retry(id);
  assert.equal((await engine.until(id)).result, "back");
});

test("the same delivery twice is one event; a first one without runs gets them from the second", async (t) => {
  const engine = await testEngine(t, { wanted: { run: async () => "done" } });
  const deliver = (type: string, key: string) =>
    engine.runs.dispatch({ source: "test", type, key, data: {}, label: STRANGER });
  const deliveries = await Promise.all(Array.from({ length: 20 }, () => deliver("wanted", "same")));
  assert.equal(new Set(deliveries.map((one) => one.eventId)).size, 1);
  assert.equal(deliveries.filter((one) => !one.duplicate).length, 1);
  const [{ count }] = (await engine.database.query<{ count: number }>("select count(*) from runs")) as [
    { count: number },
  ];
  assert.equal(count, 1);

  const unwanted = await deliver("later", "early");
  assert.deepEqual(unwanted.runIds, []);
  engine.handlers.later = { run: async () => "now wanted" };
  const again = await deliver("later", "early");
  assert.equal(again.eventId, unwanted.eventId);
  assert.equal((await engine.until(again.runIds[0]!)).result, "now wanted");
});

test("an emitted event and its runs come once, however often the run is tried", async (t) => {
  let tries = 0;
  const services = () => ({
    hub: {} as never,
    log: { with: () => ({}) } as never,
    ask: async () => ({}) as never,
    send: async () => ({ messageId: "" }),
  });
  const engine = await testEngine(
    t,
    {
      parent: {
        run: async ({ emit }) => {
          const id = await emit({ source: "test", type: "child", data: { from: "parent" } });
          if (++tries < 2) throw new Error("after the emit");
          return id;
        },
      },
      child: { run: async ({ event }) => event.data },
    },
    { services },
  );
  const parent = await engine.until(await engine.send("parent"));
  const children = await engine.database.query<{ id: string; parent_run: string }>(
    "select id, parent_run from events where type = 'child'",
  );
  assert.deepEqual(children, [{ id: parent.result, parent_run: parent.id }]);
});

test("a value that is not JSON is refused with a sentence, and NUL does not stop a run", async (t) => {
  const engine = await testEngine(t, {
    odd: { run: async ({ step }) => await step.run("odd", () => (() => {}) as never) },
    nul: { run: async ({ step, event }) => [await step.run("nul", () => "a\u0000b"), event.data.text] },
  });
  const odd = await engine.until(await engine.send("odd"));
  assert.equal(odd.error?.code, "step.invalid");
  const nul = await engine.until(await engine.send("nul", { text: "x\u0000\ud800" }));
  assert.deepEqual([nul.status, nul.result], ["completed", ["a\ufffdb", "x\ufffd\ufffd"]]);
});

test("a worker that lost its lease writes nothing over its successor", async (t) => {
  let release: (value: string) => void = () => {};
  const engine = await testEngine(t, {
    slow: {
      run: async ({ step }) =>
        await step.run(
          "work",
          () =>
            new Promise<string>((resolve) => {
              release = resolve;
            }),
        ),
    },
  });
  const id = await engine.send("slow");
  await engine.until(id, "running");
  const first = release;
  await engine.database.query("update runs set status = 'queued', claim = claim + 1, worker = null where id = $1", [
    id,
  ]);
  await engine.database.query("select pg_notify('daimon_runs', '')");
  while (release === first) await new Promise((resolve) => setTimeout(resolve, 20));
  first("from the frozen one");
  await new Promise((resolve) => setTimeout(resolve, 100));
  release("from the successor");
  const run = await engine.until(id);
  assert.equal(run.result, "from the successor");
  assert.deepEqual(
    run.steps.map((step) => step.value),
    ["from the successor"],
  );
});

test("a graceful stop waits for what is under way, and hands back what does not end", async (t) => {
  const engine = await testEngine(
    t,
    {
      short: {
        run: async ({ step }) =>
          await step.run("work", () => new Promise((resolve) => setTimeout(resolve, 200, "done"))),
      },
      long: { run: async ({ step }) => await step.run("work", () => new Promise(() => {})) },
    },
    { idle: true },
  );
  const [short, long] = [await engine.send("short"), await engine.send("long")];
  await engine.runs.start();
  await engine.until(long, "running");
  await engine.runs.stop(600);
  assert.equal((await engine.until(short)).result, "done");
  assert.equal((await engine.until(long, "queued")).status, "queued");
});
