import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DaimonError } from "../base/errors.ts";
import type { Database } from "./database.ts";

/** Any number, the same for all: two starts at once take turns. */
const LOCK = 7_240_424_200;

/**
 * The numbered migrations, `002_why.sql` onwards; number 1 is the schema that the first release laid down. They change tables.
 * One for a change of functions alone is a comment, and drops those whose parameters or results changed.
 */
export const MIGRATIONS = join(import.meta.dirname, "migrations");

const FUNCTION = /^create function [\s\S]*?^(?:end )?\$\$;$/gm;

/**
 * Brings the database to the current schema: an empty one gets `schema.sql` in one go, another the migrations
 * that it has not had, and its functions anew, all in one transaction. Throws `store.newer` when a newer Daimon has written it.
 */
export async function migrate(database: Database, folder: string = MIGRATIONS): Promise<void> {
  const migrations = readdirSync(folder)
    .filter((name) => /^\d{3}_.*\.sql$/.test(name))
    .sort();
  const newest = migrations.length === 0 ? 1 : Number(migrations.at(-1)!.slice(0, 3));
  await database.transaction(async (inside) => {
    await inside.query("select pg_advisory_xact_lock($1)", [LOCK]);
    await inside.query("create table if not exists schema_version (version integer not null)");
    const [row] = await inside.query<{ version: number }>("select version from schema_version");
    if (row && row.version > newest) {
      throw new DaimonError(
        "store.newer",
        `The database has schema ${row.version}; this Daimon knows ${newest}.`,
        "Start the newer version again, or restore a backup that this version made.",
      );
    }
    if (row?.version === newest) return;
    const schema = readFileSync(join(import.meta.dirname, "schema.sql"), "utf8");
    if (!row) {
      await inside.query(schema);
      await inside.query("insert into schema_version values ($1)", [newest]);
      return;
    }
    for (const name of migrations.filter((name) => Number(name.slice(0, 3)) > row.version)) {
      await inside.query(readFileSync(join(folder, name), "utf8"));
    }
    for (const text of schema.match(FUNCTION)!) await inside.query(text.replace("create", "create or replace"));
    await inside.query("update schema_version set version = $1", [newest]);
  });
}
