import assert from "node:assert/strict";
import { test } from "node:test";
import { DaimonError } from "../base/errors.ts";
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

test("who refuses and says for how long is left alone that long", async (t) => {
  const busy = (retryAfter: number) => Object.assign(new Error("Slow down"), { retryAfter });
  const engine = await testEngine(t, {
    polite: {
      run: async () => {
        throw busy(600);
      },
    },
    stepwise: {
      run: async ({ step }) => {
        await step.run("call", () => Promise.reject(busy(60)), { attempts: 2 });
      },
    },
  });
  const waits = async (handler: string) => {
    const before = Date.now();
    const run = await engine.until(await engine.send(handler), "waiting");
    return (run.wakeAt!.getTime() - before) / 60_000;
  };
  const minutes = [await waits("polite"), await waits("stepwise")] as const;
  assert.ok(minutes[0] >= 10 && minutes[0] < 13 && minutes[1] >= 1 && minutes[1] < 2, String(minutes));
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

test("a run ends when what its handler throws cannot even be read", async (t) => {
  const no = () => {
    throw new Error("no");
  };
  const retry = { attempts: 1, delays: [] };
  const engine = await testEngine(t, {
    message: { retry, run: async () => Promise.reject(Object.defineProperty(new Error("x"), "message", { get: no })) },
    proxy: { retry, run: async () => Promise.reject(new Proxy({}, { get: no, has: no, getPrototypeOf: no })) },
  });
  for (const type of ["message", "proxy"]) {
    const { status, error } = await engine.until(await engine.send(type));
    assert.deepEqual([status, error?.message], ["failed", "Error: What was thrown cannot be read."]);
  }
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

test("a value that is not JSON is refused with a sentence, and what was done for it is not done again", async (t) => {
  const circle: Record<string, unknown> = {};
  circle.itself = circle;
  const values: Record<string, unknown> = { code: () => {}, big: [1n], circle, long: "é".repeat(600_000) };
  const done: unknown[] = [];
  const engine = await testEngine(t, {
    step: { run: ({ step, event }) => step.run("odd", () => values[String(done[done.push(event.data.name) - 1])]) },
    result: { run: async ({ event }) => values[String(done[done.push(event.data.name) - 1])] },
  });
  for (const handler of ["step", "result"]) {
    for (const name of Object.keys(values)) {
      const { error } = await engine.until(await engine.send(handler, { name }));
      assert.equal(error?.code, "step.invalid", `${handler} ${name}`);
      assert.match(error.message, handler === "step" ? /^The value of step "odd" / : /^The result of the run /);
    }
  }
  assert.deepEqual(done, [...Object.keys(values), ...Object.keys(values)]);
});

test("what a step returns the first time is what every later time returns, the order of its keys too", async (t) => {
  const value = { zebra: 1, b: [Number.NaN, -0, "x\0"], é: "\ud800", aa: { to: 2, a: 3 }, "7": 0 };
  const seen: unknown[] = [];
  const look = (data: unknown) => seen.push(JSON.stringify(data));
  const engine = await testEngine(t, {
    odd: {
      run: async ({ step, event }) => {
        look(event.data);
        look(await step.run("all", () => value));
        look(Object.is(await step.run("zero", () => -0), 0));
        look(await step.run("none", () => Number.NaN));
        await step.sleep("until woken", "1ms");
      },
    },
  });
  await engine.until(await engine.send("odd", value), "completed");
  assert.deepEqual(seen.slice(4), seen.slice(0, 4));
  assert.equal(seen[1], '{"7":0,"b":[null,0,"x\ufffd"],"aa":{"a":3,"to":2},"é":"\ufffd","zebra":1}');
});

test("a step may have any name: what the database cannot hold of it is replaced, and a long one is cut", async (t) => {
  const names = [
    "nul \0",
    "half a sign \ud83d",
    `${"😀".repeat(300)}`,
    ..."ab".split("").map((end) => "x".repeat(9000) + end),
  ];
  const done: string[] = [];
  const engine = await testEngine(t, {
    odd: {
      run: async ({ step }) => {
        for (const name of names) await step.run(name, () => void done.push(name));
        await step.sleep("until woken", "1ms");
      },
    },
  });
  const { status, error } = await engine.until(await engine.send("odd"));
  assert.deepEqual([status, error, done], ["completed", null, names]);
});
