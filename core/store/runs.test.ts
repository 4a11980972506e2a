import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { STRANGER } from "../define/label.ts";
import { testDatabase } from "../test/database.ts";
import { keepEvents } from "./keep.ts";
import { setStopped } from "./processes.ts";
import { claimRuns } from "./runs.ts";

const RUN = {
  ...{ id: "run_1", handler: "trigger:a/b", version: "1", priority: 0, key: null, keyLimit: null, attempts: 1 },
  ...{ delays: [], limits: { turns: 1, usd: 1, minutes: 1 }, parentId: null },
};
const EVENT = { source: "test", type: "kept", key: "1", time: new Date(), data: { n: 1 }, label: STRANGER };

test("a run that is queued while others are being claimed is claimed whole, its event with it", async (t) => {
  const { database } = await testDatabase(t);
  // The claim's own statements see what was committed after the statement around them began.
  const [{ columns }] = (await database.query("select pg_get_function_result('claim_runs'::regproc) as columns")) as [
    { columns: string },
  ];
  await database.query("alter function claim_runs rename to claim_at_once");
  await database.query(
    `create function claim_runs(me text, most integer) returns ${columns} language plpgsql as $$
     begin perform pg_advisory_xact_lock(1); return query select * from claim_at_once(me, most); end $$`,
  );
  let claiming: ReturnType<typeof claimRuns> | undefined;
  await database.transaction(async (inside) => {
    await inside.query("select pg_advisory_xact_lock(1)");
    claiming = claimRuns(database, "prc_1", 10);
    const waiting = `select from pg_locks join pg_database d on d.oid = database
      where datname = current_database() and locktype = 'advisory' and not granted`;
    while ((await database.query(waiting)).length === 0) await sleep(5);
    await keepEvents(database, [{ id: "evt_1", event: EVENT, outcome: "dispatched", reason: null, runs: [RUN] }]);
  });
  const claimed = (await claiming)!;
  assert.deepEqual(
    claimed.map(({ id, event }) => [id, event.id, event.data]),
    [["run_1", "evt_1", { n: 1 }]],
  );
});

test("a claim that was on its way when STOP came brings nothing", async (t) => {
  const { database } = await testDatabase(t);
  await keepEvents(database, [{ id: "evt_1", event: EVENT, outcome: "dispatched", reason: null, runs: [RUN] }]);
  await setStopped(database, true);
  assert.deepEqual(await claimRuns(database, "prc_1", 10), []);
  await setStopped(database, false);
  assert.equal((await claimRuns(database, "prc_1", 10)).length, 1);
});
