import type { Database } from "../database.ts";
import { type Page, type PageQuery, type Row, toPage } from "./page.ts";

/** What a schedule did, newest first: each tick with its nominal and its real time, how late it was, and its runs. */
export async function listTicks(database: Database, query: PageQuery & { readonly name: string }): Promise<Page> {
  const rows = await database.query<Row>(
    `select e.id, e.time as nominal, e.received_at as "firedAt", coalesce((e.data ->> 'late')::double precision, 0) as "lateMs",
       e.key like '%/manual' as manual, e.outcome, e.reason,
       coalesce((select json_agg(json_build_object('id', r.id, 'status', r.status) order by r.id) from runs r where r.event_id = e.id), '[]') as runs
     from events e where e.source = 'schedule' and e.type = $1 and ($2::text is null or e.id < $2)
     order by e.id desc limit $3`,
    [query.name, query.cursor ?? null, query.limit + 1],
  );
  return toPage(rows, query.limit);
}
