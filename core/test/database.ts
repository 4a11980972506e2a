import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { newId } from "../base/ids.ts";
import { connect, type Database } from "../store/database.ts";
import { startServerIn } from "../store/embedded/embedded.ts";
import { MIGRATIONS, migrate } from "../store/migrate.ts";

/** A server for tests: `url` is its database `postgres`. */
export interface TestServer {
  readonly url: string;
  /** Ends the server at once and removes its folder; it happens by itself when this process ends. */
  stop(): Promise<void>;
}

/**
 * A fresh, migrated database, dropped after the test: on the server of `DAIMON_TEST_DATABASE_URL`, else on
 * one that this process starts once. It is a copy of a template, about 50 ms.
 */
export async function testDatabase(
  t: TestContext,
): Promise<{ database: Database; connection: pg.PoolConfig; url: string }> {
  const server = await sharedServer();
  const template = await sharedTemplate(server);
  const name = newId("prc").toLowerCase();
  await ask(server, `create database ${name} template ${template} strategy file_copy`);
  const url = urlOf(server, name);
  const connection = { connectionString: url };
  const database = connect(connection);
  const remove = async () => {
    await Promise.race([database.close(), sleep(1_000, undefined, { ref: false })]);
    await ask(server, `drop database if exists ${name} with (force)`);
  };
  // Hooks run in the order they were registered: this one lets those of the test come first.
  t.after(() => t.after(remove));
  return { database, connection, url };
}

/** Waits for the end of its input, then ends the server of the home `$1` and removes the home. */
const UNDERTAKER = `cat >/dev/null
  pid=$(head -n 1 "$1/postgres/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
  while [ -n "$pid" ] && kill -0 "$pid"; do sleep 0.05; done
  rm -rf "$1"`;

/**
 * Starts a server in a temporary home of its own below `folder`, without fsync. A small shell is tied to this process by a
 * pipe: however this process ends, kill -9 included, it ends the server and removes the folder.
 */
export async function startTestServer(folder = tmpdir()): Promise<TestServer> {
  const home = realpathSync(mkdtempSync(join(folder, "daimon-test-")));
  const undertaker = spawn("/bin/sh", ["-c", UNDERTAKER, "undertaker", home], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const line = undertaker.stdin as Socket;
  undertaker.unref();
  line.unref();
  const stop = async () => {
    undertaker.ref();
    line.end();
    if (undertaker.exitCode === null) await once(undertaker, "exit");
  };
  try {
    const settings = { fsync: "off", full_page_writes: "off", max_connections: "300" };
    const { connection } = await startServerIn(home, settings);
    return {
      url: `postgresql://daimon@localhost/postgres?host=${encodeURIComponent(connection.host!)}`,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

let server: Promise<string> | undefined;

function sharedServer(): Promise<string> {
  const given = process.env.DAIMON_TEST_DATABASE_URL;
  server ??= given ? Promise.resolve(given) : startTestServer().then(({ url }) => url);
  return server;
}

let template: Promise<string> | undefined;

function sharedTemplate(server: string): Promise<string> {
  template ??= makeTemplate(server);
  return template;
}

/** One template for each state of the schema's files, made by whichever test process comes first. */
async function makeTemplate(server: string): Promise<string> {
  const hash = createHash("sha256").update(readFileSync(join(MIGRATIONS, "../schema.sql")));
  for (const file of readdirSync(MIGRATIONS).sort()) hash.update(readFileSync(join(MIGRATIONS, file)));
  const name = `template_${hash.digest("hex").slice(0, 12)}`;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock(7240424201)");
    const found = await client.query("select datistemplate from pg_database where datname = $1", [name]);
    if (found.rows[0]?.datistemplate) return name;
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name} strategy file_copy`);
    const database = connect({ connectionString: urlOf(server, name), connections: 1 });
    await migrate(database).finally(() => database.close());
    await client.query(`alter database ${name} is_template true`);
    return name;
  } finally {
    await client.end();
  }
}

async function ask(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}
