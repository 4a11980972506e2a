import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "../test/database.ts";
import { eventCondition } from "./filters.ts";
import { countEvents } from "./repairs.ts";

test("dead events are found one by one, however many runs their handler has", async (t) => {
  const { database } = await testDatabase(t);
  await database.query(
    `insert into events (id, source, type, key, time, outcome, integrity, privacy)
     select 'evt_' || n, 'test', 'kept', n, now(), 'dispatched', 'trusted', 'public' from generate_series(1000, 2999) n`,
  );
  await database.query(
    `insert into runs (id, event_id, handler, status)
     select 'run_' || n, 'evt_' || n, 'trigger:a/b', case when n % 5 = 0 then 'failed' else 'completed' end from generate_series(1000, 2999) n`,
  );
  await database.query("analyze");
  assert.deepEqual(await countEvents(database, { outcome: "dead" }), { count: 400, next: null });
  const values: unknown[] = [];
  const rows = await database.query<{ "QUERY PLAN": string }>(
    `explain select from events e where ${eventCondition({ outcome: "dead" }, values)}`,
    values,
  );
  // Joined with all runs of the handler, 400 of 2,000 are 400,000 looks.
  assert.doesNotMatch(rows.map((row) => row["QUERY PLAN"]).join("\n"), /Anti Join/);
});
