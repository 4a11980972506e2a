import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../base/environment.ts";
import { connect, type Database } from "../store/database.ts";
import { temporary } from "./embedded.ts";

/** One process of a real Daimon. */
export interface DaimonProcess {
  readonly pid: number;
  /** Where its web listens, once it is ready. */
  readonly url: string;
  /** Settles when it is ready; throws when it ends before. */
  readonly ready: Promise<void>;
  /** What it wrote to stderr. */
  readonly complaint: string;
  /** `undefined` while it lives. */
  ended(): { code: number | null; signal: NodeJS.Signals | null } | undefined;
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** SIGTERM, and waits for the end. Returns the exit code. */
  stop(): Promise<number | null>;
}

/** A folder in which Daimon's processes live, and what they are told by their environment. */
export interface System {
  readonly home: string;
  /** The folder of installed capabilities. */
  readonly capabilities: string;
  /** Starts a process with these roles (default: all), and waits until it is ready. Throws when it ends before. */
  start(roles?: string, more?: Record<string, string>): Promise<DaimonProcess>;
  /** Starts one without waiting. */
  launch(roles: string, more?: Record<string, string>): DaimonProcess;
  /** A capability by its files, beside the others. */
  install(name: string, files: Record<string, string>): void;
  /** `daimon <words> --json`, parsed. */
  daimon<Answer>(...words: string[]): Promise<Answer>;
  /** What the processes have logged. */
  log(): { level: string; message: string; [field: string]: unknown }[];
}

/** An empty home and no capability yet. What still runs after the test is killed, its database too. */
export function testSystem(t: Pick<TestContext, "after">, environment: Record<string, string> = {}): System {
  const children = new Set<ChildProcess>();
  let over = false;
  // Hooks run in the order they are registered: a process that lives would bring its database back.
  t.after(async () => {
    over = true;
    for (const child of children) child.kill("SIGKILL");
    while ([...children].some(isAlive)) await sleep(10);
  });
  const folder = temporary(t);
  const home = join(folder, "home");
  const capabilities = join(folder, "capabilities");
  for (const path of [home, capabilities]) mkdirSync(path, { mode: 0o700 });
  const env = {
    ...{ PATH: process.env.PATH, HOME: folder, TMPDIR: folder, LANG: "C.UTF-8" },
    ...{ DAIMON_HOME: home, DAIMON_CAPABILITIES: capabilities, PORT: "0" },
    ...environment,
  };
  const run = (words: readonly string[], more: Record<string, string> = {}) => {
    assert.ok(!over, "the test is over");
    const child = spawn(process.execPath, [join(ROOT, "bin/daimon.js"), ...words], {
      cwd: folder,
      env: { ...env, ...more },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    return child;
  };
  const launch: System["launch"] = (roles, more) => toProcess(home, roles, run(["start", "--only", roles], more));
  return {
    home,
    capabilities,
    launch,
    async start(roles = "web,worker,clock", more = {}) {
      const process = launch(roles, more);
      await process.ready;
      return process;
    },
    install(name, files) {
      for (const [path, text] of Object.entries(files)) {
        const file = join(capabilities, name, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
    },
    async daimon(...words) {
      const child = run([...words, "--json"]);
      const said = listen(child);
      await once(child, "close");
      assert.equal(child.exitCode, 0, `daimon ${words.join(" ")}: ${said.stderr}`);
      return JSON.parse(said.stdout);
    },
    log: () =>
      readFileSync(join(home, "daimon.log"), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

function toProcess(home: string, roles: string, child: ChildProcess): DaimonProcess {
  const said = listen(child);
  const end = once(child, "exit").then(() => {});
  let url = "";
  const ready = (async () => {
    for (const until = Date.now() + 60_000; !said.stdout.includes("Daimon is ready"); await sleep(5)) {
      if (!isAlive(child)) throw new Error(`${roles} ended before it was ready: ${said.stderr}`);
      if (Date.now() > until) throw new Error(`${roles} is not ready after 60 s: ${said.stderr}`);
    }
    if (roles.includes("web")) url = readServer(home).url;
  })();
  ready.catch(() => {});
  const signal = (name: NodeJS.Signals) => child.kill(name);
  return {
    pid: child.pid!,
    get url() {
      return url;
    },
    ready,
    get complaint() {
      return said.stderr;
    },
    ended: () => (isAlive(child) ? undefined : { code: child.exitCode, signal: child.signalCode }),
    async kill() {
      signal("SIGKILL");
      await end;
    },
    freeze: () => void signal("SIGSTOP"),
    thaw: () => void signal("SIGCONT"),
    async stop() {
      signal("SIGTERM");
      await end;
      return child.exitCode;
    },
  };
}

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

function listen(child: ChildProcess): { stdout: string; stderr: string } {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      said[name] = (said[name] + text).slice(-100_000);
    });
  }
  return said;
}

/** Where the web of this home listens, and a token with all scopes. */
export function readServer(home: string): { url: string; token: string } {
  return JSON.parse(readFileSync(join(home, "server.json"), "utf8"));
}

/** A connection of the test's own, closed after it. */
export function testConnection(t: TestContext, options: Parameters<typeof connect>[0]): Database {
  const database = connect({ connections: 2, ...options });
  t.after(() => Promise.race([database.close(), sleep(1000, undefined, { ref: false })]));
  return database;
}

/** Asks until the answer is there. Fails after `seconds`, saying `what`, and what was seen `instead`. */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined | false> | Answer | undefined | false,
  { seconds = 30, instead }: { seconds?: number; instead?: () => unknown } = {},
): Promise<Answer> {
  for (const end = Date.now() + seconds * 1000; ; await sleep(20)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) assert.fail(`After ${seconds} s still not: ${what}. ${JSON.stringify(instead?.() ?? "")}`);
  }
}
