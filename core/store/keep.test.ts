import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../base/ids.ts";
import { STRANGER } from "../define/label.ts";
import { testDatabase } from "../test/database.ts";
import { type EventSeed, keepEvents } from "./keep.ts";

function seed(key: string): EventSeed {
  const run = {
    ...{ id: newId("run"), handler: "trigger:a/b", version: "1", priority: 0, key: null, keyLimit: null, attempts: 1 },
    ...{ delays: [], limits: { turns: 1, usd: 1, minutes: 1 }, parentId: null },
  };
  const event = { source: "test", type: "kept", key, time: new Date(), data: { key }, label: STRANGER };
  return { id: newId("evt"), event, outcome: "dispatched", reason: null, runs: [run] };
}

test("keeping an event reads none of the runs and events that are there, whatever the planner knew of the tables", async (t) => {
  const { database } = await testDatabase(t);
  await database.transaction(async (inside) => {
    // The plan is made, and kept, while the tables are empty.
    for (let n = 0; n < 10; n++) await keepEvents(inside, [seed(`one ${n}`)]);
    await keepEvents(
      inside,
      Array.from({ length: 500 }, (_, n) => seed(`many ${n}`)),
    );
    const [scans] = await inside.query<{ runs: number; events: number }>(
      "select pg_stat_get_xact_numscans('runs'::regclass) as runs, pg_stat_get_xact_numscans('events'::regclass) as events",
    );
    assert.deepEqual(scans, { runs: 0, events: 0 });
  });
});
