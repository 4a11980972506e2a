import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readEnvironment } from "../../base/environment.ts";
import { DaimonError } from "../../base/errors.ts";
import { openLog } from "../../base/log.ts";
import { testDatabase } from "../../test/database.ts";
import {
  ask,
  dataOf,
  endAtOnce,
  folderOf,
  parentOf,
  pidOf,
  processesOf,
  start,
  temporary,
} from "../../test/embedded.ts";
import { findBinaries } from "./binaries.ts";
import { startDatabase } from "./embedded.ts";
import { readPidFile, worksIn } from "./leftovers.ts";

const NO_PROC = process.platform === "linux" ? false : "reads /proc";

suite("the embedded Postgres", { concurrency: 3 }, () => {
  test("cold, attached, warm; the last process that stops shuts the server down", async (t) => {
    const home = join(temporary(t), "home");
    const one = await start(t, home);
    assert.equal(one.first.started, "cold");
    const [row] = await ask(
      one,
      `select current_user, current_database(), current_setting('server_encoding') as encoding,
      (select datlocprovider::text || ' ' || datlocale from pg_database where datname = current_database()) as locale,
      current_setting('fsync') || current_setting('synchronous_commit') || current_setting('full_page_writes') as durable,
      current_setting('listen_addresses') as addresses`,
    );
    assert.deepEqual(row, {
      current_user: "daimon",
      current_database: "daimon",
      encoding: "UTF8",
      locale: "b C.UTF-8",
      durable: "ononon",
      addresses: "",
    });
    assert.equal(statSync(folderOf(home)).mode & 0o777, 0o700);
    const two = await start(t, home);
    assert.equal(two.first.started, "attached");
    await one.stop();
    assert.deepEqual(await ask(two, "select 1 as one"), [{ one: 1 }]);
    const pid = pidOf(home);
    await two.stop();
    assert.equal(worksIn(pid, dataOf(home)), false);
    assert.equal(readPidFile(dataOf(home)), null);
    writeFileSync(join(folderOf(home), "log"), "x".repeat(5_000_000));
    const three = await start(t, home);
    assert.equal(three.first.started, "warm");
    const aside = statSync(join(folderOf(home), "log.old")).size;
    assert.ok(aside >= 5_000_000, `the long log is put aside: ${aside} bytes`);
    t.diagnostic(
      `cold ${one.first.milliseconds} ms, attached ${two.first.milliseconds}, warm ${three.first.milliseconds}`,
    );
    await three.stop();
  });

  test("two starts at once on an empty home are one server", { skip: NO_PROC }, async (t) => {
    const home = join(temporary(t), "home");
    const programs = await Promise.all([start(t, home), start(t, home), start(t, home)]);
    assert.deepEqual(programs.map((program) => program.first.started).sort(), ["attached", "attached", "cold"]);
    const servers = readdirSync("/proc")
      .map(Number)
      .filter((pid) => worksIn(pid, dataOf(home)) && parentOf(pid) !== pidOf(home));
    assert.deepEqual(servers, [pidOf(home)]);
    await Promise.all(programs.map((program) => program.stop()));
    assert.equal(readPidFile(dataOf(home)), null);
  });

  test("two homes side by side, one with spaces and too deep for a socket's name", async (t) => {
    const folder = temporary(t);
    const far = join(folder, "tmp");
    mkdirSync(far);
    const deep = join(folder, `a path with spaces, "quotes" and 'more'`, "deep".repeat(20), "home");
    const [one, two] = await Promise.all([start(t, join(folder, "home")), start(t, deep, { temporary: far })]);
    await ask(one, "create table only_here ()");
    await assert.rejects(ask(two, "select from only_here"), /does not exist/);
    assert.equal(one.first.connection?.host, join(folder, "home/postgres/socket"));
    assert.match(two.first.connection?.host ?? "", /^.*\/daimon-[0-9a-f]{16}$/);
    assert.equal(statSync(two.first.connection!.host).mode & 0o777, 0o700);
    const attached = await start(t, deep, { temporary: "/tmp" });
    assert.equal(attached.first.started, "attached", "although the temporary folder is another one now");
    await Promise.all([one.stop(), attached.stop()]);
    await two.stop();
    assert.deepEqual(readdirSync(far), []);
  });

  test("kill -9 of the process leaves the server up, and the next start attaches", async (t) => {
    const home = join(temporary(t), "home");
    const one = await start(t, home);
    await ask(one, "create table kept as select 1 as here");
    await one.kill();
    const two = await start(t, home);
    assert.equal(two.first.started, "attached");
    t.diagnostic(`attached in ${two.first.milliseconds} ms`);

    await t.test("kill -9 of the server: it is back within 2 s, with all that was committed", async (t) => {
      for (let round = 1; round <= 3; round++) {
        const before = pidOf(home);
        const killed = performance.now();
        process.kill(before, "SIGKILL");
        for (;;) {
          const rows = await ask(two, "select here from kept").catch(() => null);
          if (rows && pidOf(home) !== before) break;
          await sleep(20);
        }
        const milliseconds = Math.round(performance.now() - killed);
        t.diagnostic(`back in ${milliseconds} ms`);
        assert.ok(milliseconds < 10_000, "2 s is the promise, of a machine that does nothing else");
      }
      await two.heard("The database is back.");
    });

    await t.test("a backend that outlives its server does not keep the next one out", async (t) => {
      void ask(two, "select count(*) from generate_series(1, 10000000000)").catch(() => {});
      await sleep(200);
      await two.kill();
      process.kill(pidOf(home), "SIGKILL");
      const three = await start(t, home);
      assert.equal(three.first.started, "warm");
      await three.kill();
    });

    await t.test("a stale postmaster.pid whose number belongs to another process now", async (t) => {
      const server = pidOf(home);
      const text = readFileSync(join(dataOf(home), "postmaster.pid"), "utf8");
      process.kill(server, "SIGKILL");
      const bystander = spawn("sleep", ["60"]);
      t.after(() => bystander.kill());
      writeFileSync(join(dataOf(home), "postmaster.pid"), text.replace(String(server), String(bystander.pid)));
      const four = await start(t, home);
      assert.equal(four.first.started, "warm");
      assert.equal(bystander.exitCode, null);
      assert.deepEqual(await ask(four, "select here from kept"), [{ here: 1 }]);
      process.kill(pidOf(home), "SIGKILL");
      await four.stop();
      const left = readPidFile(dataOf(home));
      assert.ok(!left || !worksIn(left.pid, dataOf(home)), "a stop while the server is down leaves none behind");
    });

    await t.test("a home made by another Postgres is refused with what to do", async (t) => {
      const version = join(dataOf(home), "PG_VERSION");
      writeFileSync(version, "17\n");
      const { first } = await start(t, home);
      assert.equal(first.code, "store.version");
      assert.match(first.text ?? "", /made by Postgres 17; this Daimon runs Postgres 18/);
      assert.match(first.next ?? "", /DATABASE_URL/);
      writeFileSync(version, "18\n");
    });

    await t.test("a data folder that is none is refused, not overwritten", async (t) => {
      unlinkSync(join(dataOf(home), "global/pg_control"));
      assert.equal((await start(t, home)).first.code, "store.damaged");
      assert.ok(existsSync(join(dataOf(home), "PG_VERSION")));
    });
  });

  test("an initdb that was killed half way is done again, and its leavings go", {
    skip: NO_PROC,
  }, async (t) => {
    const home = join(temporary(t), "home");
    const unfinished = () =>
      (existsSync(folderOf(home)) ? readdirSync(folderOf(home)) : []).filter((name) => name.startsWith("data"));
    const dying = start(t, home).catch(() => {});
    while (!existsSync(join(folderOf(home), unfinished()[0] ?? "none", "base"))) await sleep(2);
    const [half] = unfinished();
    for (const pid of processesOf(home)) endAtOnce(pid);
    assert.match(half!, /^data\.new-/);
    mkdirSync(dataOf(home));
    const next = await start(t, home);
    assert.equal(next.first.started, "cold");
    assert.deepEqual(unfinished(), ["data"]);
    await next.stop();
    await dying;
  });

  test("a DATABASE_URL is taken as it is, and nothing is started", async (t) => {
    const home = join(temporary(t), "home");
    const { url } = await testDatabase(t);
    const environment = readEnvironment({ DAIMON_HOME: home, DATABASE_URL: url });
    const server = await startDatabase(environment, openLog({}));
    assert.deepEqual([server.kind, server.started], ["given", "given"]);
    assert.deepEqual(server.connection, { connectionString: url });
    await server.stop();
    assert.equal(existsSync(home), false);
  });

  test("a platform without a package is named, and what to do", () => {
    assert.throws(
      () => findBinaries("plan9-mips"),
      (error) =>
        error instanceof DaimonError &&
        error.code === "store.platform" &&
        /plan9-mips/.test(error.message) &&
        /DATABASE_URL/.test(error.next!),
    );
  });
});
