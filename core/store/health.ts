import type { Database } from "./database.ts";

/** The server's version, and how many runs failed in the last day. Throws when the database does not answer. */
export async function readHealth(database: Database): Promise<{ version: string; failed: number }> {
  const [row] = await database.query<{ version: string; failed: number }>(
    `select current_setting('server_version') as version,
       (select count(*)::integer from runs where status = 'failed' and finished_at > now() - interval '1 day') as failed`,
  );
  return row!;
}
