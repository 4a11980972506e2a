import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DaimonError } from "../../base/errors.ts";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { readPidFile } from "./leftovers.ts";

/** Where a database lives. Real paths. */
export interface Place {
  /** `<home>/postgres`. */
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly socketFolder: string;
}

/** A place, and all that is needed to run a server there. */
export interface Cluster extends Place {
  readonly binaries: Binaries;
  readonly account: Account;
  /** What the server's environment needs beside PATH. */
  readonly environment: Readonly<Record<string, string>>;
  /** Settings that come before ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The superuser and the database that Daimon uses. */
export const NAME = "daimon";

const UNFINISHED = "data.new-";
const LOG_BYTES = 4 * 1024 * 1024;
/** Milliseconds a server may take to be ready: after a crash it replays up to `max_wal_size`. */
export const READY_MS = 120_000;

/** For a small machine. Nothing that weakens durability: fsync, full_page_writes and synchronous_commit stay on. */
const SETTINGS = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  port: "5432",
  max_connections: "100",
  shared_buffers: "128MB",
  wal_compression: "pglz",
  max_wal_size: "1GB",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  jit: "off",
  // Four processes fewer.
  io_method: "sync",
  max_logical_replication_workers: "0",
};

/**
 * Lays down a new data folder, whole or not at all: it is made beside its place, under a name of its own
 * (an initdb whose parent was killed goes on for a while), and moved there when it is finished.
 */
export async function layDown(cluster: Cluster): Promise<void> {
  const fresh = join(cluster.folder, `${UNFINISHED}${randomUUID().slice(0, 8)}`);
  const child = run(cluster, cluster.binaries.initdb, [
    `--pgdata=${fresh}`,
    `--username=${NAME}`,
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
  ]);
  const [code] = await once(child, "exit");
  if (code !== 0) throw failed(cluster, "The database could not be laid down");
  renameSync(fresh, cluster.data);
}

/** Throws away what starts that were killed have left unfinished. */
export function clearUnfinished(place: Place): void {
  for (const name of readdirSync(place.folder).filter((name) => name.startsWith(UNFINISHED))) {
    try {
      rmSync(join(place.folder, name), { recursive: true, force: true });
    } catch {
      // Its initdb still writes; the next start removes the rest.
    }
  }
}

/** Writes the fresh data folder through to the disk, in the background: initdb did not wait for it. */
export function syncBehind(cluster: Cluster): void {
  const child = run(cluster, cluster.binaries.initdb, ["--sync-only", `--pgdata=${cluster.data}`]);
  child.once("error", () => {});
  child.unref();
}

/** Throws `store.version` when another major version of Postgres made the data, `store.damaged` when it is none. */
export function checkVersion(place: Place, major: number): void {
  const file = join(place.data, "PG_VERSION");
  if (!existsSync(file) || !existsSync(join(place.data, "global/pg_control"))) {
    throw new DaimonError(
      "store.damaged",
      `"${place.data}" is not empty and not a whole Postgres data folder.`,
      "Restore a backup, or move that folder away to begin with an empty database.",
    );
  }
  const version = readFileSync(file, "utf8").trim();
  if (version === String(major)) return;
  throw new DaimonError(
    "store.version",
    `The database in "${place.data}" was made by Postgres ${version}; this Daimon runs Postgres ${major}, which cannot read it.`,
    `Start the Daimon that made it, or run a Postgres ${version} server on that folder and set DATABASE_URL to it; to begin anew, set DAIMON_HOME to an empty folder.`,
  );
}

/** Whether a data folder is there; an empty one counts as none. */
export function isLaidDown(place: Place): boolean {
  return existsSync(place.data) && readdirSync(place.data).length > 0;
}

/** Starts a server that outlives this process and waits until it takes connections. Returns its process id. Throws `store.start`. */
export async function startServer(cluster: Cluster): Promise<number> {
  const settings = { ...SETTINGS, ...cluster.settings, unix_socket_directories: quoteFolder(cluster.socketFolder) };
  const before = logSize(cluster);
  const child = run(cluster, cluster.binaries.postgres, [
    "-D",
    cluster.data,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  let broken: Error | undefined;
  child.once("error", (error) => {
    broken = error;
  });
  const until = Date.now() + READY_MS;
  for (;;) {
    if (broken) throw broken;
    if (child.exitCode !== null || child.signalCode !== null)
      throw failed(cluster, "The database did not start", before);
    const file = readPidFile(cluster.data);
    if (file && file.pid === child.pid && file.status === "ready") {
      child.unref();
      return file.pid;
    }
    if (Date.now() > until) throw failed(cluster, `The database was not ready within ${READY_MS / 1000} s`, before);
    await sleep(2);
  }
}

/** Keeps the log file below a bound: at a start the long one becomes `log.old`. */
export function rotateLog(place: Place): void {
  if (logSize(place) > LOG_BYTES) renameSync(place.log, `${place.log}.old`);
}

function run(cluster: Cluster, program: string, parameters: string[]): ChildProcess {
  const { file, parameters: all, ids } = cluster.account.command(program, parameters);
  const log = openSync(cluster.log, "a", 0o600);
  cluster.account.give(cluster.log);
  try {
    return spawn(file, all, {
      cwd: "/",
      detached: true,
      stdio: ["ignore", log, log],
      // Nothing of ours: PGDATA, PGPORT and their like would reach the server.
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", TZ: "UTC", LC_ALL: "C", ...cluster.environment },
      ...ids,
    });
  } finally {
    closeSync(log);
  }
}

/** A list of folders in postgresql.conf's syntax, which splits at commas: one folder in double quotes. */
function quoteFolder(folder: string): string {
  return `"${folder.replaceAll('"', '""')}"`;
}

function logSize(place: Place): number {
  return statSync(place.log, { throwIfNoEntry: false })?.size ?? 0;
}

function failed(cluster: Cluster, what: string, from = 0): DaimonError {
  const text = existsSync(cluster.log) ? readFileSync(cluster.log).subarray(from).toString() : "";
  const lines = text.trim().split("\n");
  const reason = lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1) ?? "";
  return new DaimonError("store.start", `${what}: ${reason || "it said nothing"}`, `Read ${cluster.log}.`);
}
