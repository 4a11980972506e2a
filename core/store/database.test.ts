import assert from "node:assert/strict";
import { type AddressInfo, createServer, connect as reach } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
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

test("a connection that breaks in the moment it is handed over is an error of what it was for and no more", async (t) => {
  const { database, url } = await testDatabase(t);
  await database.query("select 1");
  const dropped = connect({ connectionString: await dropAtFirstRest(t, url) });
  t.after(() => dropped.close());
  for (const attempt of [() => dropped.query("select 1"), () => dropped.transaction(async () => {})]) {
    const error = await attempt().then(
      () => assert.fail("the connection was dropped"),
      (error: unknown) => error,
    );
    assert.ok(isAway(error), String(error));
    await sleep(50);
  }
});

/** A way to the server of `url` that breaks off, with the words a dying server says, as soon as it is ready for a query. */
async function dropAtFirstRest(t: TestContext, url: string): Promise<string> {
  const { hostname, port, searchParams } = new URL(url);
  const host = searchParams.get("host");
  const proxy = createServer((client) => {
    const server = host ? reach(join(host, `.s.PGSQL.${port || 5432}`)) : reach(Number(port), hostname);
    client.pipe(server);
    server.on("data", (chunk) => {
      const rests = chunk.subarray(-6).equals(READY);
      client.write(rests ? Buffer.concat([chunk, DYING]) : chunk);
      if (rests) client.end();
    });
    for (const socket of [client, server]) socket.on("error", () => {}).on("close", () => server.destroy());
  });
  t.after(() => proxy.close());
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const through = Object.assign(new URL(url), { hostname: "127.0.0.1", port: (proxy.address() as AddressInfo).port });
  through.searchParams.delete("host");
  return through.href;
}

// https://www.postgresql.org/docs/current/protocol-message-formats.html: ReadyForQuery and ErrorResponse.
const READY = Buffer.from("Z\0\0\0\x05I");
const FIELDS = Buffer.from("SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0");
const LENGTH = Buffer.alloc(4);
LENGTH.writeUInt32BE(FIELDS.length + 4);
const DYING = Buffer.concat([Buffer.from("E"), LENGTH, FIELDS]);

test("a database whose name is gone for a moment is away, and one that is only a replica until the failover is done", async (t) => {
  const { database } = await testDatabase(t);
  const nameless = connect({ host: "database.invalid" });
  t.after(() => nameless.close());
  const replica = database.transaction(async (inside) => {
    await inside.query("set transaction read only");
    await inside.query("insert into watches (about) values ('x')");
  });
  for (const work of [nameless.query("select 1"), replica]) {
    const error = await work.catch((thrown: unknown) => thrown);
    assert.ok(isAway(error), String(error));
  }
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
