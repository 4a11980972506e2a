import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunDetail } from "../console/web/api.ts";
import { testDatabase } from "./database.ts";
import { readServer, testSystem, until } from "./system.ts";

const EVENTS = 3000;

const CAPABILITY = `
import { defineCapability, defineTrigger } from "daimon";

export default defineCapability({
  name: "shop",
  description: "Files orders.",
  triggers: [defineTrigger({ name: "file", on: { source: "shop" }, run: async () => {} })],
});
`;

test("a replay of many survives kill -9: it goes on where it was, and no event is replayed twice", {
  timeout: 300_000,
}, async (t) => {
  const { database, url } = await testDatabase(t);
  const system = testSystem(t, { DATABASE_URL: url, DAIMON_LEASE_MS: "1000" });
  system.install("shop", { "index.ts": CAPABILITY });
  let daimon = await system.start();
  await database.query(
    `insert into events (id, source, type, key, time, outcome, integrity, privacy, data)
     select 'evt_0' || lpad(n::text, 25, '0'), 'shop', 'order.paid', n::text, now(), 'ignored', 'untrusted', 'public', '{}'
     from generate_series(1, $1::integer) n`,
    [EVENTS],
  );
  const order = async <Answer>(method: string, path: string, body?: object): Promise<Answer> => {
    const { url: at, token } = readServer(system.home);
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(at + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return (await response.json()) as Answer;
  };
  const { runId } = await order<{ runId: string }>("POST", "/api/replays", { filter: { source: "shop" } });
  const doneOf = async () =>
    (
      await database.query<{ done: number }>("select count(run_ids) as done from repairs where order_id = $1", [runId])
    )[0]!.done;
  const killedAt: number[] = [];
  for (const part of [0.1, 0.4, 0.7]) {
    await until(`${part} of it`, async () => (await doneOf()) >= EVENTS * part);
    await daimon.kill();
    killedAt.push(await doneOf());
    daimon = await system.start();
  }
  assert.ok(killedAt[0]! < EVENTS, "killed in the middle");
  const run = await until(
    "all of it",
    async () => {
      const { progress, status } = await order<RunDetail>("GET", `/api/runs/${runId}`);
      return status === "completed" && progress!.runs!.completed === EVENTS && progress;
    },
    { seconds: 60 },
  );
  assert.deepEqual(run, { total: EVENTS, done: EVENTS, runs: { completed: EVENTS } });
  await sleep(100);
  const [counted] = await database.query<object>(
    `select count(*) as runs, count(distinct event_id) as events from runs where handler = 'trigger:shop/file'`,
  );
  assert.deepEqual(counted, { runs: EVENTS, events: EVENTS });
  const ordered = await database.query<{ event_id: string }>(
    "select event_id from runs where handler = 'trigger:shop/file' order by id",
  );
  const ids = ordered.map((row) => row.event_id);
  assert.deepEqual(ids, ids.toSorted(), "in the order in which they came");
});
