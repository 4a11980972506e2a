import assert from "node:assert/strict";
import { test } from "node:test";
import { STRANGER } from "../define/label.ts";
import type { Run } from "../define/run.ts";
import type { Database } from "../store/database.ts";
import { testDatabase } from "../test/database.ts";
import { testEngine } from "../test/engine.ts";

const rowOf = async (database: Database, id: string) =>
  (
    await database.query<Run & { claim: number; event_id: string; same: boolean }>(
      "select *, started_at = created_at as same from runs where id = $1",
      [id],
    )
  )[0]!;

test("where its worker has a place a run is claimed as it is kept, and its handler sees what one who claims it later sees", async (t) => {
  const seen = new Map<string, object[]>();
  const engine = await testEngine(t, {
    odd: {
      run: async ({ event, events, now, log: _, ...rest }) => {
        const tries = seen.get(event.id) ?? [];
        seen.set(event.id, tries);
        tries.push({ ...event, now, same: events[0] === event, rest: Object.keys(rest) });
        if (tries.length === 1) throw new Error("not yet");
      },
    },
  });
  // Now and then the worker is looking around just then, and claims it itself.
  let id = "";
  let begun: Awaited<ReturnType<typeof rowOf>> | undefined;
  for (; !begun?.same; begun = await rowOf(engine.database, id)) {
    id = await engine.send("odd", { at: new Date(), nothing: undefined, list: [1, "\u0000"] });
  }
  await engine.until(id, "completed");
  assert.equal((await rowOf(engine.database, id)).claim, 2);
  const [first, second] = seen.get(begun.event_id)!;
  assert.deepEqual(first, second);
});

test("a run that finds no place is queued, and begins when there is one", async (t) => {
  const gate = Promise.withResolvers<void>();
  const engine = await testEngine(t, { slow: { run: async () => await gate.promise } }, { concurrency: 2 });
  const ids = [
    await engine.send("slow"),
    await engine.send("slow"),
    await engine.send("slow"),
    await engine.send("slow"),
  ];
  for (const id of ids.slice(0, 2)) await engine.until(id, "running");
  for (const id of ids.slice(2)) assert.equal((await rowOf(engine.database, id)).status, "queued");
  gate.resolve();
  for (const id of ids) await engine.until(id, "completed");
});

test("what a pause or STOP holds back does not begin", async (t) => {
  let begun = 0;
  const engine = await testEngine(t, {
    one: { run: async () => void begun++ },
    two: { run: async () => void begun++ },
  });
  await engine.runs.pause("one", true);
  const paused = await engine.send("one");
  assert.equal((await rowOf(engine.database, paused)).status, "waiting");
  await engine.runs.setStopped(true);
  while (!engine.runs.isStopped()) await new Promise((resolve) => setTimeout(resolve, 5));
  const stopped = await engine.send("two");
  assert.equal((await rowOf(engine.database, stopped)).status, "queued");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(begun, 0);
  await engine.runs.setStopped(false);
  await engine.runs.pause("one", false);
  for (const id of [paused, stopped]) await engine.until(id, "completed");
  assert.equal(begun, 2);
});

test("a duplicate gives back the place that was held for it", async (t) => {
  const engine = await testEngine(t, { one: { run: async () => {} } }, { concurrency: 1 });
  const send = (key: string) => engine.runs.dispatch({ source: "test", type: "one", key, data: {}, label: STRANGER });
  const first = await send("a");
  await engine.until(first.runIds[0]!, "completed");
  for (let n = 0; n < 5; n++) assert.equal((await send("a")).duplicate, true);
  await new Promise(setImmediate);
  const next = await send("b");
  await engine.until(next.runIds[0]!, "completed");
});

test("a run whose commit was not heard of is given back, and done once", async (t) => {
  const { database } = await testDatabase(t);
  let deaf = false;
  const done: string[] = [];
  const lossy: Database = {
    ...database,
    async query(text, values, name) {
      const rows = await database.query(text, values, name);
      if (name !== "keep-events" || !deaf) return rows as never;
      deaf = false;
      throw new Error("Connection terminated unexpectedly");
    },
  };
  const one = { run: async ({ event }: { event: { id: string } }) => void done.push(event.id) };
  const engine = await testEngine(t, { one }, { database: lossy, leaseMilliseconds: 800 });
  await engine.until(await engine.send("one"), "completed");
  deaf = true;
  await assert.rejects(engine.send("one"), /terminated/);
  const runs = await database.query<{ id: string; event_id: string }>("select id, event_id from runs order by id");
  await engine.until(runs[1]!.id, "completed");
  assert.deepEqual(
    done,
    runs.map((run) => run.event_id),
  );
});
