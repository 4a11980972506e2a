import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ROOT } from "../base/environment.ts";
import { STRANGER } from "../define/label.ts";
import { testDatabase } from "../test/database.ts";
import { connect, type Database } from "./database.ts";
import { findEvent } from "./events.ts";
import { keepEvents } from "./keep.ts";
import { migrate } from "./migrate.ts";

const SCHEMA = join(import.meta.dirname, "schema.sql");

/** A database with nothing in it, twice connected, as two starts at once would be. */
async function emptyDatabase(t: TestContext, name = "empty"): Promise<[Database, Database]> {
  const { database, url } = await testDatabase(t);
  const own = `${new URL(url).pathname.slice(1)}_${name}`;
  await database.query(`create database ${own}`);
  const address = new URL(url);
  address.pathname = `/${own}`;
  const both = [connect({ connectionString: address.href }), connect({ connectionString: address.href })];
  t.after(async () => {
    for (const one of both) await one.close();
    await database.query(`drop database ${own} with (force)`);
  });
  return both as [Database, Database];
}

function migrations(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "daimon-migrations-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const versionOf = async (database: Database) =>
  (await database.query<{ version: number }>("select version from schema_version")).map((row) => row.version);
const tablesOf = async (database: Database) =>
  (
    await database.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public' order by 1",
    )
  ).map((row) => row.name);
const columnsOf = async (database: Database) =>
  (
    await database.query<{ column: string }>(
      `select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable as column
       from information_schema.columns where table_schema = 'public' order by 1`,
    )
  ).map((row) => row.column);

/** All that stands in a schema, as the server itself would write it. */
async function schemaOf(database: Database): Promise<string[]> {
  const rows = await database.query<{ thing: string }>(
    `select format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage) as thing
       from pg_attribute a join pg_class c on c.oid = a.attrelid
       where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
     union all select indexdef from pg_indexes where schemaname = 'public'
     union all select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint where connamespace = 'public'::regnamespace
     union all select format('%s.%s %s', c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid))
       from pg_attrdef d join pg_class c on c.oid = d.adrelid join pg_attribute a on a.attrelid = c.oid and a.attnum = d.adnum
     union all select format('%s %s', relname, reloptions) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
     union all select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
     order by 1`,
  );
  return rows.map((row) => row.thing);
}

async function fill(database: Database): Promise<string> {
  const run = {
    ...{ id: "run_1", handler: "trigger:a/b", version: "1", priority: 0, key: null, keyLimit: null, attempts: 1 },
    ...{ delays: [], limits: {}, parentId: null },
  };
  const event = {
    ...{ source: "test", type: "kept", key: "1", time: new Date(), data: { n: 1 }, label: STRANGER },
  };
  const seed = { id: "evt_1", event, outcome: "dispatched" as const, reason: null, runs: [run] };
  const [kept] = await keepEvents(database, [seed]);
  return kept!.eventId;
}

test("the schema asks for nothing that Debian's Postgres 15 does not know", () => {
  // A column's storage in `create table` is Postgres 16's: https://www.postgresql.org/docs/16/release-16.html
  const tables = readFileSync(SCHEMA, "utf8").match(/^create table [^;]*;/gm)!;
  assert.deepEqual(
    tables.filter((text) => /\bstorage\b/.test(text)),
    [],
  );
});

test("no function whose plans are narrowed lets them be compiled", async (t) => {
  const { database } = await testDatabase(t);
  const settings = await database.query<{ name: string; set: string[] }>(
    `select proname as name, proconfig as set from pg_proc where 'enable_seqscan=off' = any(proconfig) order by 1`,
  );
  assert.deepEqual(
    settings.filter(({ set }) => !set.includes("jit=off")),
    [],
  );
  assert.ok(settings.length > 0);
});

test("an empty database gets the whole schema, and a second start changes nothing", async (t) => {
  const [database] = await emptyDatabase(t);
  await migrate(database);
  const tables = await tablesOf(database);
  const written = readFileSync(SCHEMA, "utf8").match(/^create table (\w+)/gm)!;
  assert.deepEqual(tables, [...written.map((line) => line.split(" ")[2]!), "schema_version"].sort());
  const eventId = await fill(database);
  await migrate(database);
  assert.deepEqual((await findEvent(database, eventId))?.data, { n: 1 });
  assert.equal((await versionOf(database)).length, 1);
});

test("each table of schema.sql is told of in the prose on top of it", () => {
  const [prose] = readFileSync(SCHEMA, "utf8").split("create table", 1);
  for (const line of readFileSync(SCHEMA, "utf8").match(/^create table (\w+)/gm)!) {
    assert.match(prose!, new RegExp(`^--   ${line.split(" ")[2]} `, "m"));
  }
});

test("two starts at once lay the schema down once", async (t) => {
  const [one, other] = await emptyDatabase(t);
  await Promise.all([one, other, one, other].map((database) => migrate(database)));
  assert.equal((await versionOf(one)).length, 1);
  await fill(one);
});

test("the schema is loadable in two databases of one server, and is the same in both", async (t) => {
  const [one] = await emptyDatabase(t, "one");
  const [two] = await emptyDatabase(t, "two");
  for (const database of [one, two]) await database.query(readFileSync(SCHEMA, "utf8"));
  assert.deepEqual(await columnsOf(one), await columnsOf(two));
});

test("the first schema that there was, with what is kept in it, becomes the one of schema.sql", async (t) => {
  const [first] = await emptyDatabase(t, "first");
  const [fresh] = await emptyDatabase(t, "fresh");
  await first.query(readFileSync(join(ROOT, "core/test/schema-1.sql"), "utf8"));
  await first.query("create table schema_version (version integer not null); insert into schema_version values (1)");
  await first.query(
    `insert into events (id, source, type, key, time, outcome, integrity, privacy) values ('evt_0', 'test', 'kept', '0', now(), 'dispatched', 'trusted', 'public');
     insert into runs (id, event_id, handler, status, cancel) values ('run_0', 'evt_0', 'trigger:a/b', 'waiting', true);
     insert into schedules (name, cron, zone, next_at) values ('a/weekly', '0 9 * * 2', 'UTC', now())`,
  );
  await migrate(first);
  await migrate(fresh);
  assert.deepEqual(await schemaOf(first), await schemaOf(fresh));
  assert.ok(await findEvent(first, "evt_0"));
  assert.deepEqual(await first.query("select status from runs"), [{ status: "canceled" }]);
  assert.deepEqual(await first.query("select origin from schedules"), [{ origin: "code" }]);
  await fill(first);
});

test("a numbered migration changes a filled database once, and what was kept stays", async (t) => {
  const [database, other] = await emptyDatabase(t);
  await migrate(database, migrations(t, {}));
  assert.deepEqual(await versionOf(database), [1]);
  const eventId = await fill(database);
  const folder = migrations(t, {
    "002_mood.sql": "alter table events add column mood text not null default 'calm'; create table moods (name text);",
    "003_moods.sql": "insert into moods select distinct mood from events;",
    "README.md": "This is not SQL.",
  });
  await Promise.all([migrate(database, folder), migrate(other, folder), migrate(database, folder)]);
  assert.deepEqual(await versionOf(database), [3]);
  assert.deepEqual(await database.query("select * from moods"), [{ name: "calm" }]);
  assert.deepEqual((await findEvent(database, eventId))?.data, { n: 1 });
});

test("an empty database gets today's schema at once, and no migration that led to it", async (t) => {
  const [database] = await emptyDatabase(t);
  await migrate(database, migrations(t, { "002_gone.sql": "this would not even parse" }));
  assert.deepEqual(await versionOf(database), [2]);
  await fill(database);
});

test("of a migration that fails nothing stays, and the version neither", async (t) => {
  const [database] = await emptyDatabase(t);
  await migrate(database, migrations(t, {}));
  const eventId = await fill(database);
  const folder = migrations(t, {
    "002_good.sql": "create table moods (name text);",
    "003_bad.sql": "drop table waits; select 1 / 0;",
  });
  await assert.rejects(migrate(database, folder), /division by zero/);
  assert.deepEqual(await versionOf(database), [1]);
  assert.ok((await tablesOf(database)).includes("waits"));
  assert.ok(!(await tablesOf(database)).includes("moods"));
  assert.ok(await findEvent(database, eventId));
});

test("a database that a newer Daimon has written is refused with a sentence", async (t) => {
  const { database } = await testDatabase(t);
  await database.query("update schema_version set version = 999");
  await assert.rejects(migrate(database), {
    code: "store.newer",
    message: /^The database has schema 999; this Daimon knows \d+\.$/,
    next: /newer version/,
  });
  assert.deepEqual(await versionOf(database), [999]);
});
