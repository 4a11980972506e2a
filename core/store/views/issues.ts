import type { Database } from "../database.ts";
import type { IssueKind } from "../issues.ts";
import { type Page, type PageQuery, type Row, toPage } from "./page.ts";
import { RUN } from "./runs.ts";
import { MESSAGE } from "./talk.ts";

const ISSUE = `id, kind, title, about, status, count, openings, first_at as "firstAt", last_at as "lastAt",
  opened_at as "openedAt", closed_at as "closedAt", closed_by as "closedBy"`;

/** How many of the newest runs and messages of an issue are shown with it. */
const NEWEST = 10;

/** Issues, the one that was last met first. */
export async function listIssues(
  database: Database,
  query: PageQuery & { status?: "open" | "closed" | undefined; kind?: IssueKind | undefined },
): Promise<Page> {
  const rows = await database.query<Row>(
    `select ${ISSUE} from issues
     where ($1::text is null or (last_at, id) < (select last_at, id from issues where id = $1))
       and ($2::text is null or status = $2) and ($3::text is null or kind = $3)
     order by last_at desc, id desc limit $4`,
    [query.cursor, query.status, query.kind, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** One issue with the newest of its runs and messages; or null. */
export async function findIssueDetail(database: Database, id: string): Promise<Row | null> {
  const [issues, runs, messages] = await Promise.all([
    database.query<Row>(`select ${ISSUE}, detail from issues where id = $1`, [id]),
    database.query<Row>(`select ${RUN} from runs r where issue_id = $1 order by id desc limit $2`, [id, NEWEST]),
    database.query<Row>(`select ${MESSAGE}, error from messages where issue_id = $1 order by id desc limit $2`, [
      id,
      NEWEST,
    ]),
  ]);
  return issues[0] ? { ...issues[0], runs, messages } : null;
}
