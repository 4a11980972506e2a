import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { startServerIn } from "../core/store/embedded/embedded.ts";

/** How a database of the bench's server is reached; plain, so that it can be handed to another process. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** The one server on which everything of a run of the bench is measured. */
export interface BenchServer {
  readonly version: string;
  /** A folder for homes of the bench, on the disk that the database is on; removed at the end. */
  readonly folder: string;
  /** An empty database. */
  fresh(name: string): Promise<Connection>;
  drop(name: string): Promise<void>;
  stop(): void;
}

const WORK = join(import.meta.dirname, ".work");

/**
 * Starts the embedded Postgres with its default, durable settings, and room for the connections that pgbench
 * opens; `settings` are for who looks for the cause of a figure. Not in the temporary folder: where that is in
 * memory, fsync costs nothing.
 */
export async function startBenchServer(settings: Record<string, string> = {}): Promise<BenchServer> {
  mkdirSync(WORK, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(WORK, "run-"));
  const { connection, pid } = await startServerIn(join(folder, "server"), {
    max_connections: "200",
    ...settings,
  });
  const reach = (database: string): Connection => ({
    host: String(connection.host),
    port: Number(connection.port),
    user: String(connection.user),
    database,
  });
  const stop = () => {
    if (!existsSync(folder)) return;
    try {
      process.kill(pid, "SIGQUIT");
    } catch {
      // It is gone already.
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  process.once("exit", stop);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
  const [row] = await ask<{ server_version: string }>(reach("postgres"), "show server_version");
  return {
    version: row!.server_version,
    folder,
    async fresh(name) {
      await ask(reach("postgres"), `drop database if exists ${name} with (force)`);
      await ask(reach("postgres"), `create database ${name}`);
      return reach(name);
    },
    drop: async (name) => void (await ask(reach("postgres"), `drop database if exists ${name} with (force)`)),
    stop,
  };
}

export function urlOf(connection: Connection): string {
  return `postgresql://${connection.user}@localhost/${connection.database}?host=${encodeURIComponent(connection.host)}`;
}

/** Rows of the last of some statements, on a connection of their own. */
export async function ask<Row = unknown>(
  connection: Connection,
  statements: string | readonly string[],
): Promise<Row[]> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of [statements].flat()) {
      const result = await client.query(statement);
      rows = ([result].flat().at(-1)?.rows ?? []) as Row[];
    }
    return rows;
  } finally {
    await client.end();
  }
}

/** The pgbench of this machine, if it has one: of Debian's `postgresql-15`, or on PATH. */
export function findPgbench(): string | null {
  const folder = "/usr/lib/postgresql";
  const versions = existsSync(folder) ? readdirSync(folder).sort((one, other) => Number(other) - Number(one)) : [];
  const path = (process.env.PATH ?? "").split(":");
  const all = [...versions.map((version) => join(folder, version, "bin")), ...path];
  return all.map((place) => join(place, "pgbench")).find((file) => existsSync(file)) ?? null;
}

export const PGBENCH_MISSING =
  "There is no pgbench on this machine: `apt-get install postgresql-contrib` (Debian's postgresql-15 has it) and run again.";

/** Transactions a second of a script, as pgbench counts them without the time to connect. Prepared statements, two threads. */
export async function runPgbench(
  program: string,
  connection: Connection,
  options: { script: string; clients: number; seconds: number; variables: Record<string, string> },
): Promise<number> {
  const text = await output(
    spawn(
      program,
      [
        ...["-n", "-M", "prepared", "-c", String(options.clients), "-j", String(Math.min(2, options.clients))],
        ...["-T", String(options.seconds), "-f", options.script],
        ...Object.entries(options.variables).flatMap(([name, value]) => ["-D", `${name}=${value}`]),
        ...["-h", connection.host, "-p", String(connection.port), "-U", connection.user, connection.database],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    ),
  );
  return Number(/tps = ([\d.]+)/.exec(text)?.[1]);
}

/** What a program wrote to stdout; throws with its stderr when it fails. */
export async function output(child: ChildProcess): Promise<string> {
  const told = { stdout: "", stderr: "" };
  child.stdout?.on("data", (part) => {
    told.stdout += part;
  });
  child.stderr?.on("data", (part) => {
    told.stderr += part;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${child.spawnfile} ended with ${code}: ${told.stderr || told.stdout}`);
  return told.stdout;
}
