import type { EventOutcome } from "../../define/event.ts";
import type { Label } from "../../define/label.ts";
import type { Database } from "../database.ts";
import { type Page, type PageQuery, toPage } from "./page.ts";
import { LABEL, type RunView, runsOfEvent, type StepView } from "./runs.ts";

/** An event as it stands in a list. */
export interface EventView {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly receivedAt: Date;
  readonly outcome: EventOutcome;
  readonly reason: string | null;
  readonly label: Label;
  /** `active` are those that are neither finished nor failed. */
  readonly runs: { readonly total: number; readonly failed: number; readonly active: number };
}

/** An event whole. */
export interface EventDetail extends Omit<EventView, "runs"> {
  readonly time: Date;
  readonly data: unknown;
  readonly problem: string | null;
  readonly parentRunId: string | null;
  /** The request exactly as it came in; `body` is null when its bytes are not UTF-8. */
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
    readonly bodyBase64: string;
  } | null;
  readonly runs: readonly (RunView & { readonly steps: readonly StepView[] })[];
}

export interface EventQuery extends PageQuery {
  readonly source?: string | undefined;
  /** A type, or all below one: `issues.*`. */
  readonly type?: string | undefined;
  readonly outcome?: string | undefined;
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
export async function listEvents(database: Database, query: EventQuery): Promise<Page<EventView>> {
  const wanted = [query.cursor, query.source, query.type, query.outcome];
  const end = query.q ? await searchEnd(database, wanted) : null;
  const rows = await database.query<EventView>(
    `select e.*, json_build_object('total', r.total, 'failed', r.failed, 'active', r.active) as runs
     from (select ${EVENT} from events
           where ${WANTED} and ($5::text is null or id >= $5) ${query.q ? `and ${FOUND}` : ""}
           order by id desc limit $6) e
     cross join lateral (
       select count(*) as total, count(*) filter (where status = 'failed') as failed,
         count(*) filter (where status in ('queued', 'running', 'waiting')) as active
       from runs where event_id = e.id) r
     order by e.id desc`,
    [...wanted, end, query.limit + 1, ...(query.q ? [query.q] : [])],
  );
  const page = toPage(rows, query.limit);
  return { items: page.items, next: page.next ?? end };
}

async function searchEnd(database: Database, wanted: unknown[]): Promise<string | null> {
  const [row] = await database.query<{ id: string }>(
    `select id from events where ${WANTED} order by id desc offset $5 limit 1`,
    [...wanted, SEARCHED - 1],
  );
  return row?.id ?? null;
}

/** Whether there is such an event. */
export async function isEventKept(database: Database, id: string): Promise<boolean> {
  return (await database.query("select from events where id = $1", [id])).length === 1;
}

/** One event with its request and its runs, or null. */
export async function findEventDetail(database: Database, id: string): Promise<EventDetail | null> {
  type Raw = { method: string | null; url: string; headers: Record<string, string>; body: Buffer | null };
  const [row] = await database.query<Omit<EventDetail, "request" | "runs"> & Raw>(
    `select ${EVENT}, time, data, problem, parent_run as "parentRunId", method, url, headers, body
     from events where id = $1`,
    [id],
  );
  if (!row) return null;
  const { method, url, headers, body, ...event } = row;
  const request =
    method === null
      ? null
      : { method, url, headers, body: textOf(body), bodyBase64: (body ?? Buffer.of()).toString("base64") };
  return { ...event, request, runs: await runsOfEvent(database, id) };
}

function textOf(body: Buffer | null): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body ?? Buffer.of());
  } catch {
    return null;
  }
}
