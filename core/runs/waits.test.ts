import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { newId } from "../base/ids.ts";
import type { Context } from "../define/context.ts";
import { STRANGER } from "../define/label.ts";
import type { Database } from "../store/database.ts";
import { keepEvents } from "../store/keep.ts";
import { testDatabase } from "../test/database.ts";
import { type Engine, type TestHandler, testEngine } from "../test/engine.ts";

/** Keeps an event under an id that was given before: another process, or a machine whose clock is behind. */
async function keepAs(engine: Engine, id: string, data: object = {}): Promise<string> {
  const event = { source: "test", type: "signal", key: id, time: new Date(), data, label: STRANGER };
  const [kept] = await keepEvents(engine.database, [{ id, event, outcome: "ignored", reason: null, runs: [] }]);
  engine.runs.heard("runs");
  return kept!.eventId;
}

const waiter: TestHandler = {
  run: async ({ wait }) => {
    const match = { source: "test", type: "signal" };
    return [(await wait("one", match, "3s"))?.id, (await wait("two", match, "3s"))?.id];
  },
};

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

test("what waits within a step is refused with a sentence, and holds no place until its minutes are over", async (t) => {
  const inner: Record<string, (context: Context) => Promise<unknown>> = {
    sleep: ({ step }) => step.sleep("inner", "1h"),
    event: ({ step }) => step.waitForEvent("inner", { source: "test", type: "never" }, "1h"),
    approval: ({ step }) => step.approve("inner", { title: "Send", action: { tool: "mail", input: "ann" } }),
    try: ({ step }) => step.run("inner", () => Promise.reject(new Error("busy")), { attempts: 2 }),
  };
  const engine = await testEngine(t, {
    outer: { run: (context) => context.step.run("outer", () => inner[String(context.event.data.kind)]!(context)) },
    beside: {
      run: ({ step }) => Promise.all([step.run("one", () => step.run("two", () => 2)), step.sleep("x", "1ms")]),
    },
  });
  for (const kind of Object.keys(inner)) {
    const { status, error } = await engine.until(await engine.send("outer", { kind }));
    assert.deepEqual([status, error?.code], ["failed", "step.invalid"], kind);
    assert.match(error!.message, /within another step/, kind);
  }
  assert.deepEqual((await engine.until(await engine.send("beside"))).result, [2, null]);
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

test("an event that was named first and kept last is not lost to the second of two waits", async (t) => {
  const engine = await testEngine(t, { waiter });
  const id = await engine.send("waiter");
  await engine.until(id, "waiting");
  const [first, last] = [newId("evt", Date.now() + 1), newId("evt", Date.now() + 2)];
  await keepAs(engine, last);
  for (let steps = 0; steps < 2; ) steps = (await engine.until(id, "waiting")).steps.length;
  await keepAs(engine, first);
  assert.deepEqual((await engine.until(id)).result, [last, first]);
});

test("an event from a machine whose clock is behind is found, while asleep and when it came early", async (t) => {
  const engine = await testEngine(t, { waiter });
  const id = await engine.send("waiter");
  await engine.until(id, "waiting");
  const [one, two] = [newId("evt", Date.now() - 60_000), newId("evt", Date.now() - 50_000)];
  await keepAs(engine, one);
  for (let steps = 0; steps < 2; ) steps = (await engine.until(id, "waiting")).steps.length;
  await keepAs(engine, two);
  assert.deepEqual((await engine.until(id)).result, [one, two]);
});

test("an event that is kept in the very moment in which a run falls asleep again wakes it", async (t) => {
  const { database } = await testDatabase(t);
  let during: (() => Promise<unknown>) | undefined;
  const watched: Database = {
    ...database,
    async query(text, ...more) {
      const rows = await database.query(text, ...more);
      const once = text.includes("from events e") && text.includes("received_at") ? during : undefined;
      if (once) during = undefined;
      await once?.();
      return rows as never[];
    },
  };
  const patient: TestHandler = {
    run: async ({ wait }) => (await wait("one", { source: "test", type: "signal" }, "1h"))?.id,
  };
  const engine = await testEngine(t, { patient }, { database: watched, heart: database });
  const id = await engine.send("patient");
  await engine.until(id, "waiting");
  // It has slept for an hour, and looks again for no reason.
  await database.query("update waits set created_at = now() - interval '1 hour'");
  const event = newId("evt");
  during = () => keepAs(engine, event);
  await database.query("update runs set status = 'queued' where id = $1", [id]);
  engine.runs.heard("runs");
  assert.equal((await engine.until(id)).result, event);
});

test("what came before the run was made is not what it waits for, and nothing is taken twice", async (t) => {
  const engine = await testEngine(t, { waiter });
  await keepAs(engine, newId("evt"));
  const id = await engine.send("waiter");
  await engine.until(id, "waiting");
  const only = await keepAs(engine, newId("evt"));
  assert.deepEqual((await engine.until(id)).result, [only, null]);
});

test("an event that nearly fits does not keep a run awake for ever", async (t) => {
  const picky: TestHandler = {
    run: async ({ wait }) => (await wait("one", { source: "test", type: "signal", where: { n: [1, 2] } }, "1h"))?.id,
  };
  const engine = await testEngine(t, { picky });
  const id = await engine.send("picky");
  await engine.until(id, "waiting");
  await keepAs(engine, newId("evt"), { n: 3 });
  await engine.database.query("update runs set created_at = now() - interval '1 hour'");
  await engine.database.query("update events set received_at = now() - interval '2 minutes'");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { claim } = (await engine.until(id, "waiting")) as unknown as { claim: number };
  await engine.database.query("update runs set status = 'queued' where id = $1", [id]);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const later = (await engine.until(id, "waiting")) as unknown as { claim: number };
  assert.equal(later.claim, claim + 1);
  const event = await keepAs(engine, newId("evt"), { n: 2 });
  assert.equal((await engine.until(id)).result, event);
});

test("an answer that comes in the moment in which a run falls asleep wakes it", async (t) => {
  const engine = await testEngine(t, {
    asker: {
      run: async ({ step, approve }) => {
        const asked = approve("go", { title: "Go?", action: { tool: "go", input: {} } });
        // As long as this step is at work the run does not fall asleep, and is answered while it is running.
        const answered = step.run("answer", async () => {
          for (let id: string | undefined; !id; ) {
            [{ id } = { id: undefined }] = await engine.database.query<{ id: string | undefined }>(
              "select id from approvals",
            );
            if (id) await engine.runs.answer(id, "approved", "test");
          }
        });
        const [approved] = await Promise.all([asked, answered]);
        return approved;
      },
    },
  });
  const run = await engine.until(await engine.send("asker", {}), "completed");
  assert.equal(run.result, true);
});

test("an event like the one that a run waited for does not call it out of another wait", async (t) => {
  const patient: TestHandler = {
    retry: { attempts: 3, delays: [3_600_000] },
    run: async ({ wait, step }) => {
      await wait("one", { source: "test", type: "signal" }, "1h");
      await step.sleep("nap", "1ms");
      throw new Error("as it should");
    },
  };
  const engine = await testEngine(t, { patient });
  const id = await engine.send("patient");
  await engine.until(id, "waiting");
  await keepAs(engine, newId("evt"));
  const tries = async () => {
    const { attempts, waiting } = (await engine.until(id, "waiting")) as { attempts: number; waiting: unknown };
    return [attempts, (waiting as { kind: string }).kind] as const;
  };
  while ((await tries())[1] !== "retry") await new Promise((resolve) => setTimeout(resolve, 10));
  await keepAs(engine, newId("evt"));
  assert.deepEqual(await engine.database.query("select status from runs where id = $1", [id]), [{ status: "waiting" }]);
  assert.deepEqual(await tries(), [1, "retry"]);
  assert.deepEqual(await engine.database.query("select step from waits"), []);
});

test("an answer in the moment in which an approval is over is either taken by the run or refused", async (t) => {
  const { database } = await testDatabase(t);
  let ahead = 0;
  let during: (() => Promise<unknown>) | undefined;
  const watched: Database = {
    ...database,
    async query(text, ...more) {
      const rows = await database.query(text, ...more);
      if (text.includes("insert into approvals")) await during?.();
      return rows as never[];
    },
  };
  const careful: TestHandler = {
    run: async ({ approve }) => await approve("go", { title: "Go?", action: { tool: "go", input: {} }, timeout: "1h" }),
  };
  // The worker's clock is ahead of the database's: its hour is over sooner.
  const clock = { ...systemClock, now: () => new Date(Date.now() + ahead) };
  const engine = await testEngine(t, { careful }, { database: watched, heart: database, clock });
  const id = await engine.send("careful");
  await engine.until(id, "waiting");
  const [approval] = await database.query<{ id: string }>("select id from approvals");
  let refused = "";
  during = async () => {
    during = undefined;
    await engine.runs.answer(approval!.id, "approved", "owner").catch(({ code }) => {
      refused = code;
    });
  };
  ahead = 3_600_000;
  engine.runs.heard("runs");
  assert.deepEqual([(await engine.until(id)).result, refused], [false, "approval.answered"]);
});
