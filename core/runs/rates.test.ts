import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../store/database.ts";
import { releaseHeld } from "../store/held.ts";
import { claimRuns } from "../store/runs.ts";
import { testDatabase } from "../test/database.ts";
import { testEngine } from "../test/engine.ts";
import { dispatcher, event, runsIn, statusesIn } from "../test/held.ts";

/** How many began within any `span`, at the most. */
function mostWithin(starts: readonly number[], span: number): number {
  const sorted = [...starts].sort((a, b) => a - b);
  return Math.max(...sorted.map((from) => sorted.filter((at) => at >= from && at < from + span).length));
}

test("never more than a rate allows begin within its time, over any processes, in order, and none is lost", async (t) => {
  const { connection, database } = await testDatabase(t);
  const span = 400;
  const order: number[] = [];
  const handlers = {
    paced: {
      rate: { limit: 5, per: `${span}ms` },
      run: async ({ event }: { event: { data: Record<string, unknown> } }) => void order.push(Number(event.data.n)),
    },
  };
  const engines: Awaited<ReturnType<typeof testEngine>>[] = [];
  for (let n = 0; n < 3; n++) {
    const pool = connect({ ...connection, connections: 4 });
    t.after(() => t.after(() => pool.close()));
    engines.push(await testEngine(t, handlers, { database: pool }));
  }
  const ids = [];
  for (let n = 0; n < 40; n += 4) {
    ids.push(...(await Promise.all([0, 1, 2, 3].map((m) => engines[n % 3]!.send("paced", { n: n + m })))));
  }
  const waiting = await engines[0]!.until(ids.at(-1)!, "waiting");
  assert.deepEqual(waiting.waiting, { kind: "rate", limit: 5, milliseconds: span });
  assert.ok(waiting.wakeAt! > new Date(), "it is told when");
  for (const id of ids) assert.equal((await engines[0]!.until(id)).status, "completed");
  const starts = await database.query<{ at: number; n: number }>(
    `select extract(epoch from r.started_at) * 1000 as at, (e.data ->> 'n')::integer as n
     from runs r join events e on e.id = r.event_id order by r.started_at`,
  );
  const within = mostWithin(
    starts.map((one) => Number(one.at)),
    span,
  );
  // A slow machine begins fewer.
  assert.ok(within <= 5, `${within} began within ${span} ms`);
  assert.equal(new Set(order).size, 40);
  // Those of one moment are sent by several processes; between moments the order stands.
  const moments = starts.map((one) => Math.floor(one.n / 20));
  assert.deepEqual(moments, [...moments].sort());
});

test("runs above a rate are told their turn one by one, and each key has its own", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { rate: { limit: 2, per: "1m", key: "of" } });
  for (let n = 0; n < 7; n++) await dispatch.one(event(n, { of: n === 6 ? "b" : "a" }));
  const runs = await runsIn(database);
  assert.deepEqual(
    runs.map((run) => run.status),
    ["queued", "queued", "waiting", "waiting", "waiting", "waiting", "queued"],
  );
  const minutes = runs.slice(2, 6).map((run) => Math.round((run.wakeAt!.getTime() - Date.now()) / 60_000));
  assert.deepEqual(minutes, [1, 1, 2, 2]);
});

test("however late a run begins that its rate has let through, the one after it keeps its distance", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { rate: { limit: 1, per: "300ms" } });
  for (const n of [0, 1, 2]) await dispatch.one(event(n));
  await sleep(400);
  await releaseHeld(database, new Date());
  assert.deepEqual(await statusesIn(database), ["queued", "waiting", "waiting"], "the first has not begun yet");
  const [begun] = await claimRuns(database, "prc_1", 10);
  for (;;) {
    const next = await releaseHeld(database, new Date());
    const [, second, third] = await runsIn(database);
    assert.equal(third!.status, "waiting");
    if (second!.status === "queued") break;
    assert.ok(next, "it is known when to look again");
    assert.ok(next.getTime() <= second!.wakeAt!.getTime());
    await sleep(Math.max(1, next.getTime() - Date.now()));
  }
  assert.ok(Date.now() - begun!.startedAt.getTime() >= 300);
});

test("a rate and a limit of runs at a time hold together", async (t) => {
  let busy = 0;
  let most = 0;
  const engine = await testEngine(t, {
    both: {
      ...{ rate: { limit: 4, per: "200ms" }, concurrency: { limit: 2 } },
      run: async () => {
        most = Math.max(most, ++busy);
        await sleep(20);
        busy--;
      },
    },
  });
  const ids = await Promise.all(Array.from({ length: 10 }, (_, n) => engine.send("both", { n })));
  for (const id of ids) await engine.until(id);
  const starts = await engine.database.query<{ at: number }>(
    "select extract(epoch from started_at) * 1000 as at from runs",
  );
  const within = mostWithin(
    starts.map((one) => Number(one.at)),
    200,
  );
  assert.equal(most, 2);
  // A slow machine begins fewer.
  assert.ok(within <= 4, `${within} began within 200 ms`);
});
