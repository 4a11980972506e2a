import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../store/database.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";
import { dataOf } from "./embedded.ts";
import { testSystem, until } from "./system.ts";

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

test("a start without the server of DATABASE_URL says what it did not reach, and what to do", async (t) => {
  const system = testSystem(t, { DATABASE_URL: "postgresql://nobody@127.0.0.1:1/nothing" });
  await assert.rejects(system.start(), ({ message }: Error) => {
    assert.match(message, /The database cannot be used: connect ECONNREFUSED 127\.0\.0\.1:1\.\nNext: .*DATABASE_URL/);
    assert.doesNotMatch(message, /^ +at /m);
    return true;
  });
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
