import type { Database } from "../database.ts";
import { REQUEST } from "../events.ts";
import { DEAD_REASON, type EventFilter, eventCondition, ofEvent, stands } from "../filters.ts";
import { nextPart } from "../repairs.ts";
import { LABEL, type Page, type PageQuery, type Row, toPage } from "./page.ts";
import { runsOfEvent } from "./runs.ts";

// What became of it as it stands now: an event is dead as long as one of its runs has failed for good.
const EVENT = `e.id, e.source, e.type, e.key, e.received_at as "receivedAt",
  case when d.reason is null then e.outcome else 'dead' end as outcome, coalesce(d.reason, e.reason) as reason, ${LABEL}`;
const DEAD = `cross join lateral (select ${DEAD_REASON} as reason) d`;

/** A page of events. One of a text search may be short, even empty, and have a page after it. */
export interface EventPage extends Page {
  /** How many events were looked through for a text, when the page is not full of what was found. */
  readonly searched?: number;
}

/** Events, newest first. A text search looks through a bounded part of them, and the next page goes on from there. */
export async function listEvents(database: Database, query: EventFilter & PageQuery): Promise<EventPage> {
  const { cursor, limit } = query;
  const part = query.q ? await nextPart(database, query, cursor) : null;
  const values: unknown[] = [cursor ?? null, part?.end ?? null, limit + 1];
  const rows = await database.query<Row>(
    `select ${EVENT}, json_build_object('total', r.total, 'failed', r.failed, 'active', r.active) as runs
     from (select e.* from events e
           where ($1::text is null or e.id < $1) and ($2::text is null or e.id >= $2) and ${eventCondition(query, values)}
           order by e.id desc limit $3) e
     ${DEAD}
     cross join lateral (
       select count(*) as total, count(*) filter (where status = 'failed' and ${stands("e.id")}) as failed,
         count(*) filter (where status in ('queued', 'running', 'waiting')) as active
       from runs r where ${ofEvent("e.id")}) r
     order by e.id desc`,
    values,
  );
  const page = toPage(rows, limit);
  if (!part || page.next) return page;
  return { items: page.items, next: part.end, searched: part.events };
}

/** Whether there is such an event. */
export async function isEventKept(database: Database, id: string): Promise<boolean> {
  return (await database.query("select from events where id = $1", [id])).length === 1;
}

/** One event with its request exactly as it came in, and its runs; or null. */
export async function findEventDetail(database: Database, id: string): Promise<Row | null> {
  const [row] = await database.query<Row & { method: string | null; body: Buffer | null }>(
    `select f.*, ${REQUEST}
     from (select ${EVENT}, e.time, e.data, e.problem, e.parent_run as "parentRunId", e.replay_of as "replayOf",
             (select coalesce(json_agg(c.id order by c.id), '[]') from events c where c.replay_of = e.id) as "replays"
           from events e ${DEAD}) f
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
