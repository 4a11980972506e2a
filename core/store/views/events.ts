import type { EventOutcome } from "../../define/event.ts";
import type { Database } from "../database.ts";
import { REQUEST } from "../events.ts";
import { LABEL, type Page, type PageQuery, type Row, toPage } from "./page.ts";
import { OF_EVENT, runsOfEvent } from "./runs.ts";

export interface EventQuery extends PageQuery {
  readonly source?: string | undefined;
  /** A type, or all below one: `issues.*`. */
  readonly type?: string | undefined;
  readonly outcome?: EventOutcome | undefined;
  /** Text looked for in the body; ASCII letters match in either case. */
  readonly q?: string | undefined;
}

const EVENT = `id, source, type, key, received_at as "receivedAt", outcome, reason, ${LABEL}`;

const WANTED = `($1::text is null or id < $1) and ($2::text is null or source = $2)
  and ($3::text is null or type = $3 or (right($3, 2) = '.*' and starts_with(type, left($3, -1))))
  and ($4::text is null or outcome = $4)`;

// `encode(…, 'escape')` makes text of any bytes, UTF-8 or not: ASCII stays, the rest becomes octal digits.
const FOUND = `position(lower(encode(convert_to($7, 'UTF8'), 'escape'))
  in lower(encode(coalesce(body, convert_to(data::text, 'UTF8'), ''), 'escape'))) > 0`;

/** How many events one request looks through for a text; the next page goes on from there. */
export const SEARCHED = 5000;

/** Events, newest first. A page of a text search may be short, even empty, and have a page after it. */
export async function listEvents(database: Database, query: EventQuery): Promise<Page> {
  const wanted = [query.cursor, query.source, query.type, query.outcome];
  const end = query.q ? await searchEnd(database, wanted) : null;
  const rows = await database.query<Row>(
    `select e.*, json_build_object('total', r.total, 'failed', r.failed, 'active', r.active) as runs
     from (select ${EVENT} from events
           where ${WANTED} and ($5::text is null or id >= $5) ${query.q ? `and ${FOUND}` : ""}
           order by id desc limit $6) e
     cross join lateral (
       select count(*) as total, count(*) filter (where status = 'failed') as failed,
         count(*) filter (where status in ('queued', 'running', 'waiting')) as active
       from runs where ${OF_EVENT("e.id")}) r
     order by e.id desc`,
    [...wanted, end, query.limit + 1, ...(query.q ? [query.q] : [])],
  );
  const page = toPage(rows, query.limit);
  return { items: page.items, next: page.next ?? end };
}

async function searchEnd(database: Database, wanted: unknown[]): Promise<string | null> {
  const [row] = await database.query<Row>(`select id from events where ${WANTED} order by id desc offset $5 limit 1`, [
    ...wanted,
    SEARCHED - 1,
  ]);
  return row?.id ?? null;
}

/** Whether there is such an event. */
export async function isEventKept(database: Database, id: string): Promise<boolean> {
  return (await database.query("select from events where id = $1", [id])).length === 1;
}

/** One event with its request exactly as it came in, and its runs; or null. */
export async function findEventDetail(database: Database, id: string): Promise<Row | null> {
  const [row] = await database.query<Row & { method: string | null; body: Buffer | null }>(
    `select f.*, ${REQUEST}
     from (select ${EVENT}, time, data, problem, parent_run as "parentRunId" from events) f
     join events e on e.id = f.id left join requests q on q.id = e.request_id where f.id = $1`,
    [id],
  );
  if (!row) return null;
  const { method, url, headers, body, ...event } = row;
  const bytes = body ?? Buffer.of();
  const text = textOf(bytes);
  const request = { method, url, headers, body: text, bodyBase64: bytes.toString("base64") };
  return {
    ...event,
    data: event.data ?? dataOf(text),
    request: method === null ? null : request,
    runs: await runsOfEvent(database, id),
  };
}

/** Data that was not kept apart is the parsed body. */
function dataOf(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
