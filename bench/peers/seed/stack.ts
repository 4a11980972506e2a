import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pause } from "../../figures.ts";
import { freePort } from "../../house.ts";
import { familyOf } from "../../memory.ts";
import { ask, type BenchServer, type Connection } from "../../postgres.ts";
import { SECRET, type Stack } from "../stack.ts";

const FOLDER = import.meta.dirname;
/** Debian's package of each Python module, and of the program. */
const PACKAGES = {
  fastapi: "python3-fastapi",
  uvicorn: "uvicorn",
  uvloop: "python3-uvloop",
  httptools: "python3-httptools",
  celery: "celery",
  redis: "python3-redis",
  asyncpg: "python3-asyncpg",
  psycopg2: "python3-psycopg2",
} as const;
const REDIS = "/usr/bin/redis-server";

/** The seconds after which Redis hands out again what a dead worker held, where losses are counted. */
const VISIBILITY_SECONDS = 10;

/** Why the seed's stack cannot be measured on this machine, in one sentence; null when it can. */
export function findMissing(): string | null {
  const missing = existsSync(REDIS) ? [] : ["redis-server"];
  const test = `import importlib.util as u; print(*[m for m in ${JSON.stringify(Object.keys(PACKAGES))} if not u.find_spec(m)])`;
  const modules = existsSync(python()) ? execFileSync(python(), ["-c", test], { encoding: "utf8" }) : "";
  if (!existsSync(python())) missing.push("python3");
  for (const name of modules.trim().split(" ").filter(Boolean)) missing.push(PACKAGES[name as keyof typeof PACKAGES]);
  if (missing.length === 0) return null;
  return `The seed's stack is not whole on this machine: \`apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}\` (Debian 12), and run again.`;
}

/** Debian's own: its packages are for no other. */
const python = () => "/usr/bin/python3";

export interface SeedOptions {
  /** Processes of uvicorn. */
  readonly web: number;
  /** As Debian has it (snapshots now and then), or a log that is written before Redis answers. */
  readonly redis: "snapshots" | "append only";
  /** A database name that nobody else has. */
  readonly name: string;
  /** Losses are counted: what a dead worker held is handed out again soon. */
  readonly soon?: boolean;
}

/** FastAPI behind uvicorn, Redis, a Celery worker and Celery's clock, on a database of the bench's server. */
export async function openSeed(server: BenchServer, options: SeedOptions): Promise<Stack> {
  const connection = await server.fresh(options.name);
  await ask(connection, readFileSync(join(FOLDER, "schema.sql"), "utf8"));
  const folder = join(server.folder, options.name);
  mkdirSync(folder, { recursive: true });
  const socket = join(folder, "redis.sock");
  const port = await freePort();
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    LANG: "C.UTF-8",
    PYTHONPATH: FOLDER,
    PYTHONDONTWRITEBYTECODE: "1",
    PGHOST: connection.host,
    PGPORT: String(connection.port),
    PGUSER: connection.user,
    PGDATABASE: connection.database,
    GITHUB_WEBHOOK_SECRET: SECRET,
    SEED_REDIS: socket,
    ...(options.soon ? { SEED_VISIBILITY: String(VISIBILITY_SECONDS) } : {}),
  };
  const run = (program: string, ...words: string[]) => spawnIn(folder, environment, program, words);
  const runRedis = async () => {
    const process = run(REDIS, ...redisWords(folder, socket, options.redis));
    while (!(await answers(socket))) await pause(2);
    return process;
  };
  const celery = (...words: string[]) => run(python(), "-m", "celery", "-A", "tasks", ...words);
  const runWorker = () =>
    celery(
      ...["worker", "--concurrency", "2", "--loglevel", "ERROR"],
      ...["--without-gossip", "--without-mingle", "--without-heartbeat"],
    );
  let [redis, web, worker, beat]: (ChildProcess | undefined)[] = [];
  const all = () => [redis, web, worker, beat].filter((one) => one !== undefined);
  return {
    name: `the seed's stack, uvicorn with ${options.web === 1 ? "1 process" : `${options.web} processes`}`,
    settings: SETTINGS,
    port,
    async start() {
      redis = await runRedis();
      web = run(
        python(),
        ...["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", String(port)],
        ...["--workers", String(options.web), "--loop", "uvloop", "--http", "httptools"],
        ...["--no-access-log", "--log-level", "warning"],
      );
      worker = runWorker();
      beat = celery("beat", "--schedule", join(folder, "beat"), "--pidfile", "", "--loglevel", "ERROR");
    },
    async stopWork() {
      await end(worker!, "SIGTERM");
    },
    async startWork() {
      worker = runWorker();
    },
    async strike() {
      await Promise.all([end(worker!, "SIGKILL"), end(redis!, "SIGKILL")]);
      await pause(1000);
      redis = await runRedis();
      worker = runWorker();
      return "the Celery worker and Redis";
    },
    done: () => doneIn(connection),
    doneCount: async () =>
      (await ask<{ count: number }>(connection, "select count(*) from events where done_at is not null"))[0]!.count,
    pids: () => familyOf(all().map((one) => one.pid!)),
    databasePids: () => backendsOf(connection),
    async stop() {
      await Promise.all(all().map((one) => end(one, "SIGKILL")));
      await server.drop(options.name);
    },
  };
}

const SETTINGS =
  "uvicorn with uvloop and httptools, no access log; asyncpg, a pool of 16; Celery prefork with 2 processes, no results, no events, " +
  "acks_late with reject_on_worker_lost, prefetch 64, no gossip, mingle or heartbeat; Redis over a unix socket; psycopg2 with a prepared statement";

function redisWords(folder: string, socket: string, kind: SeedOptions["redis"]): string[] {
  const durable = kind === "append only" ? ["--appendonly", "yes", "--appendfsync", "always"] : [];
  // Debian's redis.conf has the same snapshots as Redis by itself.
  return ["--port", "0", "--unixsocket", socket, "--dir", folder, "--loglevel", "warning", ...durable];
}

async function answers(socket: string): Promise<boolean> {
  const { connect } = await import("node:net");
  return await new Promise((resolve) => {
    const client = connect(socket, () => client.write("PING\r\n"));
    client.setTimeout(1000, () => client.destroy());
    client.once("data", (part) => {
      resolve(part.toString().startsWith("+PONG"));
      client.destroy();
    });
    client.once("error", () => resolve(false));
    client.once("close", () => resolve(false));
  });
}

async function doneIn(connection: Connection): Promise<Map<string, number>> {
  const rows = await ask<{ key: string; at: string }>(
    connection,
    "select delivery as key, extract(epoch from done_at) * 1000 as at from events where done_at is not null",
  );
  return new Map(rows.map(({ key, at }) => [key, Number(at)]));
}

/** The backends that serve a database. */
export async function backendsOf(connection: Connection): Promise<number[]> {
  const rows = await ask<{ pid: number }>(
    connection,
    "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  return rows.map(({ pid }) => pid);
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) killFamily(child);
});

function spawnIn(cwd: string, env: NodeJS.ProcessEnv, program: string, words: readonly string[]): ChildProcess {
  const log = openSync(join(cwd, "log"), "a");
  const child = spawn(program, words, { cwd, env, stdio: ["ignore", log, log] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

function killFamily(child: ChildProcess): void {
  for (const pid of familyOf([child.pid!])) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

/** Ends a process and what it has started. */
async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  if (signal === "SIGKILL") killFamily(child);
  else child.kill(signal);
  const timer = setTimeout(killFamily, 20_000, child);
  await gone;
  clearTimeout(timer);
}
