import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { DaimonError } from "../base/errors.ts";
import { STRANGER } from "../define/label.ts";
import { latestEvents } from "../store/events.ts";
import { readFigures } from "../store/figures.ts";
import { markTargets, nextTargets, noteEvents } from "../store/repairs.ts";
import { findEventDetail, listEvents } from "../store/views/events.ts";
import { findRunDetail, listRuns } from "../store/views/runs.ts";
import { type Engine, testEngine } from "../test/engine.ts";
import type { RegisteredHandler } from "./registered.ts";

interface Event {
  id: string;
  outcome: string;
  reason: string | null;
  runs: { total: number; failed: number; active: number };
}

const eventsOf = async (engine: Engine, query: object = {}) =>
  (await listEvents(engine.database, { source: "test", limit: 200, ...query })).items as unknown as Event[];

const runsOf = async (engine: Engine, query: object = {}) =>
  (await listRuns(engine.database, { limit: 200, ...query })).items as unknown as {
    id: string;
    eventId: string;
    handler: string;
    status: string;
    attempts: number;
    error: { code: string } | null;
    waiting: { kind: string } | null;
    progress: { total: number; done: number } | null;
  }[];

const outcomesOf = async (engine: Engine, id: string) =>
  (await findRunDetail(engine.database, id, new Date()))!.progress as {
    total: number | null;
    done: number;
    runs: Record<string, number>;
  };

/** Ids are made by the millisecond: what follows is later. */
const later = () => new Promise((resolve) => setTimeout(resolve, 2));

/** Sixty orders, of which every one with a number below 37 fails. */
async function brokenOrders(t: Parameters<typeof testEngine>[0]) {
  const state = { broken: true, done: [] as number[] };
  const engine = await testEngine(t, {
    order: {
      retry: { attempts: 1, delays: [] },
      run: async ({ event, step }) => {
        await step.run("read", () => event.data.n as number);
        if (state.broken && (event.data.n as number) < 37) throw new DaimonError("order.bad", "No tax was found.");
        state.done.push(event.data.n as number);
      },
    },
  });
  const ids: string[] = [];
  for (let n = 0; n < 60; n++) ids.push(await engine.send("order", { n }));
  for (const id of ids) await engine.until(id);
  return { engine, state, ids };
}

test("an event of which a run has failed for good is dead with the reason, and dispatched again when it is retried", async (t) => {
  const { engine, state, ids } = await brokenOrders(t);
  const dead = await eventsOf(engine, { outcome: "dead" });
  assert.equal(dead.length, 37);
  assert.deepEqual(dead[0]!.reason, "order failed: No tax was found.");
  assert.equal((await eventsOf(engine, { outcome: "dispatched" })).length, 23);
  const counted = (await readFigures(engine.database)).events.map(({ outcome, count }) => [outcome, count]);
  assert.deepEqual(counted.toSorted(), [
    ["dead", 37],
    ["dispatched", 23],
  ]);
  const latest = await latestEvents(engine.database, { limit: 60 });
  assert.equal(latest.filter((event) => event.outcome === "dead").length, 37);
  assert.deepEqual([...new Set((await eventsOf(engine)).map((event) => event.outcome))].sort(), ["dead", "dispatched"]);
  state.broken = false;
  await engine.runs.retry(ids[0]!);
  await engine.until(ids[0]!);
  assert.equal((await eventsOf(engine, { outcome: "dead" })).length, 36);
});

test("a replay of many runs each event of its filter once more, in their order, and those that come later not", async (t) => {
  const { engine, state } = await brokenOrders(t);
  state.broken = false;
  state.done.length = 0;
  const before = await eventsOf(engine, { outcome: "dead" });
  await later();
  const { runId } = await engine.runs.repair({ kind: "replay", filter: { source: "test", outcome: "dead" } });
  await engine.until(runId, "completed");
  const made = await runsOf(engine, { order: runId });
  for (const run of made) await engine.until(run.id);
  assert.deepEqual(made.map((run) => run.eventId).toReversed(), before.map((event) => event.id).toReversed());
  assert.deepEqual(
    state.done.toSorted((one, other) => one - other),
    Array.from({ length: 37 }, (_, n) => n),
  );
  assert.deepEqual(await outcomesOf(engine, runId), { total: 37, done: 37, runs: { completed: 37 } });
  const [order] = await runsOf(engine, { handler: "daimon:replay" });
  assert.deepEqual(order!.progress, { total: 37, done: 37 });
  const after = await eventsOf(engine);
  assert.deepEqual([...new Set(after.map((event) => event.outcome))], ["dispatched"]);
  assert.deepEqual(after.find((event) => event.id === before[0]!.id)!.runs, { total: 2, failed: 0, active: 0 });
  const again = await engine.runs.repair({ kind: "replay", filter: { source: "test", outcome: "dead" } });
  await engine.until(again.runId, "completed");
  assert.deepEqual(await outcomesOf(engine, again.runId), { total: 0, done: 0, runs: {} });
});

test("a retry of many takes the failed runs that no later run stands for, and keeps their completed steps", async (t) => {
  const { engine, state, ids } = await brokenOrders(t);
  state.broken = false;
  const [first] = await runsOf(engine, { status: "failed" });
  const replayed = await engine.runs.replay(first!.eventId);
  await engine.until(replayed.runIds[0]!);
  state.done.length = 0;
  await later();
  const { runId } = await engine.runs.repair({ kind: "retry", filter: { status: "failed", error: "order.bad" } });
  await engine.until(runId, "completed");
  for (const id of ids.filter((id) => id !== first!.id)) await engine.until(id, "completed");
  assert.equal(state.done.length, 36);
  assert.deepEqual(await outcomesOf(engine, runId), { total: 36, done: 36, runs: { completed: 36 } });
});

test("a run that waits for its next try is tried now, by itself or with all that wait like it", async (t) => {
  let broken = true;
  const engine = await testEngine(t, {
    order: {
      retry: { attempts: 3, delays: [3_600_000] },
      run: async ({ step }) => {
        if (broken) throw new DaimonError("far.away", "The far side is away.");
        await step.sleep("night", "1h");
      },
    },
  });
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push(await engine.send("order"));
  for (const id of ids) await engine.until(id, "waiting");
  broken = false;
  assert.deepEqual(await engine.runs.retry(ids[0]!), { done: true, status: "queued" });
  const asleep = async () => (await runsOf(engine)).filter((run) => run.waiting?.kind === "sleep").length;
  while ((await asleep()) < 1) await later();
  assert.deepEqual(await engine.runs.retry(ids[0]!), { done: false, status: "waiting" }, "a sleep is no try");
  const { runId } = await engine.runs.repair({ kind: "retry", filter: { status: "waiting", handler: "order" } });
  await engine.until(runId, "completed");
  while ((await asleep()) < 3) await later();
  assert.deepEqual((await outcomesOf(engine, runId)).total, 2);
});

test("a filter that names a handler replays that handler alone, and only events that its trigger still wants", async (t) => {
  const ran: string[] = [];
  const toHandler = (name: string): RegisteredHandler => ({
    ...{ name, version: "1", retry: { attempts: 1, delays: [] }, limits: {}, priority: 5, secret: () => "" },
    run: async ({ event }) => void ran.push(`${name} ${(event.data as { n: number }).n}`),
  });
  const where = { n: [1, 2] };
  const handlers = {
    get: (name: string) => (/^(one|two)$/.test(name) ? toHandler(name) : undefined),
    triggers: () => [
      { handler: "one", on: { source: "test" } },
      { handler: "two", on: { source: "test", where } },
    ],
  };
  const engine = await testEngine(t, {}, { handlers });
  for (const n of [1, 2, 3]) {
    const { runIds } = await engine.runs.dispatch({ source: "test", type: "a", data: { n }, label: STRANGER });
    for (const id of runIds) await engine.until(id);
  }
  where.n = [2];
  ran.length = 0;
  await later();
  const { runId } = await engine.runs.repair({ kind: "replay", filter: { source: "test", handler: "two" } });
  await engine.until(runId, "completed");
  for (const run of await runsOf(engine, { order: runId })) await engine.until(run.id);
  assert.deepEqual(await outcomesOf(engine, runId), { total: 2, done: 2, runs: { completed: 1 } });
  assert.deepEqual(ran, ["two 2"]);
});

test("an event replayed with other data is a new one, linked to the first, and no more trusted than it", async (t) => {
  const seen: unknown[] = [];
  const engine = await testEngine(t, {
    order: { run: async ({ event }) => void seen.push([event.data, event.label, event.type]) },
  });
  const first = await engine.until(await engine.send("order", { n: 1 }));
  const [{ id }] = (await eventsOf(engine)) as [Event];
  const before = await findEventDetail(engine.database, id);
  const replayed = await engine.runs.replay(id, { data: { n: 2 } });
  assert.notEqual(replayed.eventId, id);
  await engine.until(replayed.runIds[0]!, "completed");
  assert.deepEqual(seen[1], [{ n: 2 }, STRANGER, "order"]);
  const after = await findEventDetail(engine.database, id);
  assert.deepEqual(after, { ...before, replays: [replayed.eventId] });
  const made = await findEventDetail(engine.database, replayed.eventId);
  assert.deepEqual([made!.replayOf, made!.data, made!.label], [id, { n: 2 }, before!.label]);
  assert.equal(first.status, "completed");
});

test("a tick of a schedule is replayed by its schedule", async (t) => {
  const ran: unknown[] = [];
  const engine = await testEngine(t, { "schedule:a/weekly": { run: async ({ event }) => void ran.push(event.data) } });
  const data = { schedule: "a/weekly", nominal: "2026-11-24T08:00:00.000Z" };
  const decision = { outcome: "dispatched", reason: null, runs: [] } as const;
  const { eventId } = await engine.runs.dispatch(
    { source: "schedule", type: "a/weekly", data, label: STRANGER },
    decision,
  );
  const { runIds } = await engine.runs.replay(eventId);
  await engine.until(runIds[0]!, "completed");
  assert.deepEqual(ran, [data]);
});

test("a canceled replay of many goes no further, and cancels what it has queued", async (t) => {
  const engine = await testEngine(t, { order: { run: async () => {} } });
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.push(await engine.send("order", { n }));
  for (const id of ids) await engine.until(id);
  await later();
  await engine.runs.setStopped(true);
  while (!engine.runs.isStopped()) await later();
  const { runId } = await engine.runs.repair({ kind: "replay", filter: { source: "test" } });
  assert.deepEqual(await engine.runs.cancel(runId), { done: true, status: "canceled" });
  await engine.runs.setStopped(false);
  assert.equal((await engine.until(runId)).status, "canceled");
  assert.equal((await runsOf(engine, { handler: "order" })).length, 5);
  await engine.runs.retry(runId);
  await engine.until(runId, "completed");
  assert.equal((await runsOf(engine, { handler: "order" })).length, 10);
});

test("two workers that both believe to carry a replay do each event once between them", async (t) => {
  const engine = await testEngine(t, { order: { run: async () => {} } });
  const { database } = engine;
  for (let n = 0; n < 250; n++) await engine.send("order", { n });
  await later();
  await engine.runs.setStopped(true);
  while (!engine.runs.isStopped()) await later();
  const { runId } = await engine.runs.repair({ kind: "replay", filter: { source: "test" } });
  await noteEvents(database, runId, { source: "test" }, null);
  let came = 0;
  const carry = async () => {
    for (let done = 1; done > 0; ) {
      done = await database.transaction(async (inside) => {
        const targets = await nextTargets(inside, runId, 20);
        came += targets.length;
        await markTargets(inside, runId, new Map(targets.map((id) => [id, [id]])));
        return targets.length;
      });
    }
  };
  await Promise.all([carry(), carry(), carry()]);
  assert.equal(came, 250);
});

/** Orders in bursts, whose run fails for good until it is mended. */
async function brokenBurst(t: TestContext) {
  let broken = true;
  const engine = await testEngine(t, {
    order: {
      ...{ debounce: { delay: "50ms" }, retry: { attempts: 1, delays: [] } },
      run: async () => {
        if (broken) throw new DaimonError("order.bad", "No tax was found.");
      },
    },
  });
  const mend = () => {
    broken = false;
  };
  return { engine, mend };
}

test("each event of a burst is dead when their run has failed, and a replay of them is a burst again", async (t) => {
  const { engine, mend } = await brokenBurst(t);
  const ids = new Set<string>();
  for (let n = 0; n < 3; n++) ids.add(await engine.send("order", { n }));
  assert.equal(ids.size, 1);
  await engine.until([...ids][0]!, "failed");
  const dead = await eventsOf(engine, { outcome: "dead" });
  assert.deepEqual(
    dead.map((event) => event.reason),
    Array(3).fill("order failed: No tax was found."),
  );
  assert.deepEqual(
    (await eventsOf(engine)).map((event) => event.outcome),
    Array(3).fill("dead"),
  );
  mend();
  await later();
  const { runId } = await engine.runs.repair({ kind: "replay", filter: { outcome: "dead", handler: "order" } });
  await engine.until(runId, "completed");
  for (const run of await runsOf(engine, { order: runId })) await engine.until(run.id, "completed");
  assert.deepEqual(await outcomesOf(engine, runId), { total: 3, done: 3, runs: { completed: 1 } });
  assert.deepEqual(await eventsOf(engine, { outcome: "dead" }), []);
});

test("an event of a burst that is replayed alone is put right alone, and the others stay dead", async (t) => {
  const { engine, mend } = await brokenBurst(t);
  for (let n = 0; n < 3; n++) await engine.send("order", { n });
  const [failed] = await runsOf(engine);
  await engine.until(failed!.id, "failed");
  const outcomes = async () => (await eventsOf(engine)).map((event) => event.outcome);
  const events = await eventsOf(engine);
  mend();
  await later();
  // Newest first: the run is kept as one of the newest, and has gathered the others.
  const left = ["dead", "dead", "dead"];
  for (const place of [1, 0, 2]) {
    const { runIds } = await engine.runs.replay(events[place]!.id);
    await engine.until(runIds[0]!, "completed");
    left[place] = "dispatched";
    assert.deepEqual(await outcomes(), left, `replayed the event at ${place}`);
    const detail = await findEventDetail(engine.database, events[place]!.id);
    assert.deepEqual([detail!.outcome, detail!.reason], ["dispatched", null]);
    const latest = await latestEvents(engine.database, { limit: 10 });
    assert.deepEqual(
      latest.map((event) => event.outcome),
      left,
    );
    assert.equal((await eventsOf(engine, { outcome: "dead" })).length, left.filter((one) => one === "dead").length);
  }
});
