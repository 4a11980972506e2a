import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { testDatabase } from "../test/database.ts";
import { connect, isAway } from "./database.ts";
import { reserve } from "./spend.ts";

const PID = "select pg_backend_pid() as pid";

test("a connection that breaks in the middle of a transaction is an error of that transaction and no more", async (t) => {
  const { database, connection } = await testDatabase(t);
  const other = connect(connection);
  t.after(() => other.close());
  for (const pause of [0, 100]) {
    const error = await database
      .transaction(async (inside) => {
        const [row] = await inside.query<{ pid: number }>(PID);
        await other.query("select pg_terminate_backend($1)", [row!.pid]);
        await sleep(pause);
        await inside.query("select 1");
      })
      .then(
        () => assert.fail("it cannot have been committed"),
        (error: unknown) => error,
      );
    assert.ok(isAway(error), String(error));
  }
  assert.deepEqual(await database.query("select 1 as one"), [{ one: 1 }]);
});

test("a database that cannot be reached is away; what a handler could not reach is not the database", async (t) => {
  const nowhere = connect({ host: "/nonexistent" });
  t.after(() => nowhere.close());
  const away = async (work: Promise<unknown>) => isAway(await work.catch((error: unknown) => error));
  assert.equal(await away(nowhere.query("select 1")), true);
  assert.equal(await away(nowhere.transaction(async () => {})), true);
  const { database } = await testDatabase(t);
  assert.equal(await away(database.query("select 1 / 0")), false);
  assert.equal(await away(database.transaction(() => Promise.reject(new Error("server closed the door")))), false);
  for (const code of ["ENOENT", "ECONNREFUSED", "57P01"]) {
    const mine = Object.assign(new Error("connection terminated"), { code });
    assert.equal(await away(database.transaction(() => Promise.reject(mine))), false, code);
  }
});

test("whoever freezes in the middle of a transaction does not hold up the others for ever", async (t) => {
  const { database, connection } = await testDatabase(t);
  const [row] = await database.query<{ limit: string }>("show idle_in_transaction_session_timeout");
  assert.deepEqual(row, { idle_in_transaction_session_timeout: "10s" });
  const frozen = connect({ ...connection, idle_in_transaction_session_timeout: 300 });
  t.after(() => frozen.close());
  const request = { step: "model", scopes: [{ scope: "day:x", limitUsd: 1 }], usd: 0.1, now: new Date() };
  await reserve(database, { ...request, runId: "one" });
  const freezing = frozen.transaction(async (inside) => {
    await inside.query("select from spend for update");
    await sleep(2000);
  });
  freezing.catch(() => {});
  await sleep(50);
  assert.ok("reservationId" in (await reserve(database, { ...request, runId: "two" })));
  await assert.rejects(freezing);
});
