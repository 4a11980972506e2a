import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pidSpace } from "../base/neighbours.ts";
import { testDatabase } from "../test/database.ts";
import { until } from "../test/system.ts";
import { connect, type Database } from "./database.ts";
import { registerProcess, takeOver } from "./processes.ts";

const LEASE_MILLISECONDS = 60_000;

/** A process with a connection of its own, that carries one run. */
async function carrier(t: TestContext, database: Database, connection: object, id: string): Promise<Database> {
  const heart = connect({ ...connection, connections: 1, idleTimeoutMillis: 0 });
  t.after(() => heart.close().catch(() => {}));
  await registerProcess(heart, id, ["worker"]);
  await database.query(
    "insert into runs (id, event_id, handler, status, worker, claim) values ($1, 'evt_1', 'a', 'running', $2, 1)",
    [`run_${id}`, id],
  );
  return heart;
}

test("a process whose connection is gone is dead after two heartbeats, long before its lease ends", async (t) => {
  const { database, connection } = await testDatabase(t);
  const killed = await carrier(t, database, connection, "prc_killed");
  await carrier(t, database, connection, "prc_frozen");
  await sleep(2500);
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), [], "both have their connection");
  await killed.close();
  const taken = async () => {
    const runs = await takeOver(database, LEASE_MILLISECONDS);
    return runs.length > 0 && runs;
  };
  assert.deepEqual(await until("the server has seen it go", taken), ["run_prc_killed"]);
  assert.deepEqual(
    await database.query("select status, claim, worker from runs where id = 'run_prc_killed'"),
    [{ status: "queued", claim: 2, worker: null }],
    "queued again, with a new fence",
  );
});

test("a process that is gone from this machine is dead at once, whatever the server knows of its connection", async (t) => {
  const { database, connection } = await testDatabase(t);
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  await carrier(t, database, connection, "prc_neighbour");
  await database.query("update processes set pid = $1", [child.pid]);
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), []);
  process.kill(child.pid!, "SIGSTOP");
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), [], "one that is frozen keeps its lease");
  child.kill("SIGKILL");
  await once(child, "exit");
  await database.query("update processes set pid_space = 'elsewhere'");
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), [], "elsewhere the number may mean another");
  await database.query("update processes set pid_space = $1", [pidSpace()]);
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), ["run_prc_neighbour"]);
});

test("one that lost its connection a moment ago has the time to come back", async (t) => {
  const { database, connection } = await testDatabase(t);
  const heart = await carrier(t, database, connection, "prc_blink");
  await heart.close();
  await sleep(100);
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), []);
});

test("a server that was started anew has closed all connections: then only the lease counts", async (t) => {
  const { database, connection } = await testDatabase(t);
  const heart = await carrier(t, database, connection, "prc_before");
  await heart.close();
  // Last seen before this server was started.
  await database.query(
    "update processes set seen_at = (select max(backend_start) from pg_stat_activity where backend_type = 'checkpointer') - interval '5 seconds'",
  );
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS + 3_600_000), []);
  await database.query("update processes set seen_at = seen_at - interval '3 hours'");
  assert.deepEqual(await takeOver(database, LEASE_MILLISECONDS), ["run_prc_before"]);
});
