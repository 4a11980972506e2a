import { type ApprovalStatus, OPEN } from "../approvals.ts";
import type { Database } from "../database.ts";
import { type Page, type PageQuery, type Row, toPage } from "./page.ts";

/** A message's columns. */
export const MESSAGE = `id, direction, author, text, state, run_id as "runId", created_at as "createdAt", detail`;

/** An approval's columns. One that was not answered in time, or before its run ended, is `expired`. */
export const APPROVAL = (now: string): string => `id, run_id as "runId", title, action,
  case when status <> 'waiting' or ${OPEN(now)} then status else 'expired' end as status,
  expires_at as "expiresAt", created_at as "createdAt", answered_at as "answeredAt"`;

/** Approvals, newest first. */
export async function listApprovals(
  database: Database,
  query: PageQuery & { status?: ApprovalStatus | undefined },
  now: Date,
): Promise<Page> {
  const rows = await database.query<Row>(
    `select * from (select ${APPROVAL("$1")} from approvals) a
     where ($2::text is null or id < $2) and ($3::text is null or status = $3) order by id desc limit $4`,
    [now, query.cursor, query.status, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** One approval, or null. */
export async function findApproval(
  database: Database,
  id: string,
  now: Date,
): Promise<(Row & { readonly status: ApprovalStatus }) | null> {
  const [row] = await database.query<Row & { status: ApprovalStatus }>(
    `select ${APPROVAL("$2")} from approvals where id = $1`,
    [id, now],
  );
  return row ?? null;
}

/** Conversations, the one that was last spoken in first. */
export async function listConversations(database: Database, query: PageQuery): Promise<Page> {
  const rows = await database.query<Row>(
    `select id, channel, title, updated_at as "updatedAt" from conversations
     where $1::text is null or (updated_at, id) < (select updated_at, id from conversations where id = $1)
     order by updated_at desc, id desc limit $2`,
    [query.cursor, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** The messages of a conversation, newest first; null when there is no such conversation. */
export async function listMessages(database: Database, conversation: string, query: PageQuery): Promise<Page | null> {
  const known = await database.query("select from conversations where id = $1", [conversation]);
  if (known.length === 0) return null;
  const rows = await database.query<Row>(
    `select ${MESSAGE} from messages where conversation_id = $1 and ($2::text is null or id < $2)
     order by id desc limit $3`,
    [conversation, query.cursor, query.limit + 1],
  );
  return toPage(rows, query.limit);
}
