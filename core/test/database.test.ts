import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../base/environment.ts";
import { readPidFile, worksIn } from "../store/embedded/leftovers.ts";
import { testDatabase } from "./database.ts";

test("each test has a migrated database of its own", async (t) => {
  const started = performance.now();
  const one = await testDatabase(t);
  const between = performance.now();
  const two = await testDatabase(t);
  t.diagnostic(`first ${Math.round(between - started)} ms, next ${Math.round(performance.now() - between)} ms`);
  await one.database.query("insert into switches (name, value) values ('here', 'true')");
  assert.deepEqual(await one.database.query("select name from switches"), [{ name: "here" }]);
  assert.deepEqual(await two.database.query("select name from switches"), []);
});

test("hooks of the test still have the database", async (t) => {
  const { database } = await testDatabase(t);
  t.after(async () => assert.deepEqual(await database.query("select 1 as one"), [{ one: 1 }]));
});

test("kill -9 of a test process leaves no server and no folder behind", async () => {
  const code =
    'import { startTestServer } from "./core/test/database.ts"; console.log((await startTestServer()).url); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: ROOT });
  const [line] = await once(child.stdout, "data");
  const home = join(new URL(String(line).trim()).searchParams.get("host")!, "../..");
  const data = join(home, "postgres/data");
  const { pid } = readPidFile(data)!;
  child.kill("SIGKILL");
  for (const until = Date.now() + 15_000; existsSync(home) && Date.now() < until; ) await sleep(20);
  assert.equal(existsSync(home), false);
  assert.equal(worksIn(pid, data), false);
});
