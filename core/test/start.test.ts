import assert from "node:assert/strict";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isRunning } from "../base/neighbours.ts";
import { connect } from "../store/database.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";
import { testDatabase } from "./database.ts";
import { dataOf } from "./embedded.ts";
import { readServer, testSystem, until } from "./system.ts";

test("a start that fails half way says why and ends, and its database with it", async (t) => {
  const system = testSystem(t);
  const daimon = await system.start();
  const { socketFolder } = readPidFile(dataOf(system.home))!;
  const database = connect({ host: socketFolder, user: "daimon", database: "daimon", ssl: false });
  await database.query("update schema_version set version = 999");
  await database.close();
  assert.equal(await daimon.stop(), 0);
  const failing = system.launch("web,worker,clock");
  await assert.rejects(failing.ready, /has schema 999; this Daimon knows \d+\.\nNext: /);
  assert.deepEqual(failing.ended(), { code: 1, signal: null });
  assert.equal(readPidFile(dataOf(system.home)), null, "no Postgres is left behind");
});

test("a start that fails when all is open already leaves no database behind", async (t) => {
  const system = testSystem(t);
  mkdirSync(join(system.home, "server.json"));
  const failing = system.launch("web,worker,clock");
  await assert.rejects(failing.ready, /cannot be used: EISDIR: .*server\.json'\.\nNext: Is all of it/);
  assert.deepEqual(failing.ended(), { code: 1, signal: null });
  assert.equal(readPidFile(dataOf(system.home)), null, "no Postgres is left behind");
});

test("a process whose database dies while it starts is ready in the end, or ends", async (t) => {
  const system = testSystem(t);
  const keeper = await system.start("clock");
  for (let pause = 100; pause <= 850; pause += 250) {
    const starting = system.launch("web,worker");
    await new Promise((resolve) => setTimeout(resolve, pause));
    const file = readPidFile(dataOf(system.home));
    if (file) process.kill(file.pid, "SIGKILL");
    const ready = await starting.ready.then(
      () => true,
      () => false,
    );
    if (ready) await until("it answers", async () => (await fetch(`${starting.url}/readyz`)).ok);
    else assert.ok(starting.ended(), "it neither is ready nor ends");
    await starting.kill();
  }
  assert.equal(keeper.ended(), undefined);
});

test("a capability that never lets go of the process while it is imported is named, with how to remove it, and the start ends", async (t) => {
  const system = testSystem(t);
  system.install("spinner", { "index.ts": "for (;;);" });
  const starting = system.launch("web,worker,clock");
  const folder = join(system.capabilities, "spinner");
  await assert.rejects(starting.ready, ({ message }: Error) => {
    assert.ok(message.includes(`The capability in ${folder} has kept the process busy for 10 seconds`), message);
    assert.ok(message.includes(`Next: rm -r '${folder}', or move it away, and start again.`), message);
    return true;
  });
  assert.ok(starting.ended());
});

test("a start that cannot be says what is wrong and what to do, without a stack", async (t) => {
  const system = testSystem(t);
  const file = join(system.capabilities, "file");
  writeFileSync(file, "");
  mkdirSync(join(system.capabilities, "odd/.env"), { recursive: true });
  mkdirSync(join(system.capabilities, "lock/postgres/lock"), { recursive: true });
  const deep = join(system.capabilities, ...Array(6).fill("deep".repeat(25)));
  const wrong: readonly [Record<string, string>, RegExp][] = [
    [{ DAIMON_HOME: file }, /^The home .*file cannot be used: EEXIST: file already exists\.\nNext: Set DAIMON_HOME/],
    [{ DAIMON_HOME: join(file, "below") }, /cannot be used: ENOTDIR: not a directory\.\nNext: Set DAIMON_HOME/],
    [
      { DAIMON_HOME: join(system.capabilities, "odd") },
      /odd\/\.env cannot be read: EISDIR: .*\.\nNext: Make it a file/,
    ],
    [
      { DAIMON_HOME: join(system.capabilities, "lock") },
      /cannot be used: unable to open database file\.\nNext: Is all/,
    ],
    [{ DAIMON_HOME: deep }, /cannot be used: .*\.\nNext: Is all of it yours to write, .* shorter than 500 bytes\?/],
    [{ HOST: "192.0.2.1" }, /^Port 0 of 192\.0\.2\.1 cannot be listened on: .*EADDRNOTAVAIL.*\nNext: Set HOST/],
    [{ PORT: "1e3" }, /^PORT is "1e3", which is not a whole number from 0 to 65535\.\nNext: Write it like PORT=4242/],
    [{ DAIMON_LEASE_MS: "soon" }, /^DAIMON_LEASE_MS is "soon", which is not a whole number/],
    [{ DAIMON_LAME_DUCK_MS: "-1" }, /^DAIMON_LAME_DUCK_MS is "-1", which is not a whole number/],
    [
      { DATABASE_URL: "postgres://127.0.0.1:1/x" },
      /^The database of DATABASE_URL does not answer: .*\nNext: Is it right, like postgres:/,
    ],
  ];
  for (const [more, words] of wrong) {
    const starting = system.launch("web,worker,clock", more);
    await assert.rejects(starting.ready);
    assert.match(starting.complaint, words);
    assert.doesNotMatch(starting.complaint, /\n {4}at /);
    assert.equal(starting.ended()?.code, 1);
  }
});

test("a given database that Daimon cannot work with is refused at the start, with what it lacks", async (t) => {
  const system = testSystem(t);
  const { database, url } = await testDatabase(t);
  const name = new URL(url).pathname.slice(1);
  const role = `guest_${name}`;
  const roleUrl = (of: string) => Object.assign(new URL(url), { pathname: `/${of}`, username: role }).href;
  t.after(async () => {
    for (const one of ["bare", "latin"]) await database.query(`drop database if exists ${name}_${one} with (force)`);
    await database.query(`drop owned by ${role}`);
    await database.query(`drop role ${role}`);
  });
  await database.query(`create role ${role} login`);
  await database.query(`create database ${name}_bare template template0`);
  await database.query(
    `create database ${name}_latin encoding 'LATIN1' locale_provider libc locale 'C' template template0 owner ${role}`,
  );
  const assertRefused = async (of: string, words: RegExp) => {
    const starting = system.launch("web,worker,clock", { DATABASE_URL: roleUrl(of) });
    await assert.rejects(starting.ready);
    assert.match(starting.complaint, words);
    assert.doesNotMatch(starting.complaint, /\n {4}at /);
    assert.equal(starting.ended()?.code, 1);
  };
  const next = "\\nNext: It must be Daimon's alone, and its role its owner";
  await assertRefused(`${name}_bare`, new RegExp(`: permission denied for schema public\\.${next}`));
  await assertRefused(`${name}_latin`, /has the encoding LATIN1, with which Daimon cannot work\.\nNext: Make another/);
  await database.query(`alter database ${name}_bare owner to ${role}`);
  await database.query(`alter role ${role} set default_transaction_read_only = on`);
  await assertRefused(`${name}_bare`, new RegExp(`cannot execute CREATE TABLE in a read-only transaction\\.${next}`));
  await database.query(`alter role ${role} reset default_transaction_read_only`);
  await database.query(`alter role ${role} connection limit 5`);
  await assertRefused(`${name}_bare`, /lets 5 connections in, with which Daimon cannot work\.\nNext: Let it take 14\./);
});

test("a process whose home is removed while it runs says so once and ends, its database with it", async (t) => {
  const system = testSystem(t);
  const daimon = await system.start();
  const { pid } = readPidFile(dataOf(system.home))!;
  rmSync(system.home, { recursive: true, force: true, maxRetries: 20 });
  await until("it ends", () => daimon.ended());
  assert.deepEqual(daimon.ended(), { code: 1, signal: null });
  assert.match(
    daimon.complaint,
    /postgres\/data was moved or removed while Daimon ran\.\nNext: Bring it or a backup back, or begin/,
  );
  assert.ok(daimon.complaint.split("The log cannot be written").length <= 2, daimon.complaint);
  await until("Postgres ends", () => !isRunning(pid));
});

test("a process whose home is moved while it runs says so and ends, and its database does not run on there", async (t) => {
  const system = testSystem(t);
  const daimon = await system.start();
  const { pid } = readPidFile(dataOf(system.home))!;
  t.after(() => isRunning(pid) && process.kill(pid, "SIGKILL"));
  renameSync(system.home, `${system.home}-moved`);
  await until("it ends", () => daimon.ended());
  assert.deepEqual(daimon.ended(), { code: 1, signal: null });
  assert.match(daimon.complaint, /postgres\/data was moved or removed while Daimon ran\./);
  await until("Postgres ends", () => !isRunning(pid));
});

test("of two processes of one home the one that ends takes only its own address back", async (t) => {
  const system = testSystem(t);
  const older = await system.start();
  const newer = await system.start();
  assert.equal(await older.stop(), 0);
  assert.equal(readServer(system.home).url, newer.url);
  assert.equal(await newer.stop(), 0);
  assert.ok(!existsSync(join(system.home, "server.json")));
});
