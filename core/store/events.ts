import { firstId, timeOf } from "../base/ids.ts";
import type { EventOutcome, RawRequest } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Database } from "./database.ts";
import { DEAD_REASON } from "./filters.ts";

/** An event as its handlers see it. */
export interface EventRow {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly time: Date;
  readonly data: unknown;
  readonly problem: string | null;
  readonly label: Label;
}

/** An event's columns before its data is parsed. */
export interface RawEvent extends Omit<EventRow, "label">, Label {
  readonly body: Uint8Array | null;
}

const EVENT_COLUMNS =
  "id, source, type, key, time, data, problem, integrity, privacy, case when data is null then body end as body";

/** Data that was not kept apart is the parsed body; one that cannot be read is the problem of its own runs alone. */
export function toEventRow(raw: RawEvent): EventRow {
  const { body, integrity, privacy, ...event } = raw;
  const label = { integrity, privacy };
  if (event.data !== null || !body || event.problem) return { ...event, label };
  try {
    return { ...event, data: JSON.parse(Buffer.from(body).toString("utf8")), label };
  } catch (error) {
    return { ...event, problem: `The body cannot be read: ${error}`, label };
  }
}

/** One event, or null. */
export async function findEvent(database: Database, id: string): Promise<EventRow | null> {
  return (await findEvents(database, [id]))[0] ?? null;
}

/** Those of these events that there are, in the order of their ids. */
export async function findEvents(database: Database, ids: readonly string[]): Promise<EventRow[]> {
  const rows = await database.query<RawEvent>(`select ${EVENT_COLUMNS} from events where id = any($1) order by id`, [
    ids,
  ]);
  return rows.map(toEventRow);
}

/** How far two machines' clocks may be apart: ids are made by theirs, and only the database's is one for all. */
const MOST_SKEW_MILLISECONDS = 5 * 60_000;

/** What a run waits for. */
export interface Wanted {
  readonly source: string;
  /** Patterns of LIKE. */
  readonly types: readonly string[];
  /** What the data must contain (jsonb @>). */
  readonly match: object;
}

/** Events that came in since a run was made, its own and those of `not` left out, in the order of their ids. */
export async function eventsSince(
  database: Database,
  runId: string,
  query: Wanted & { not: readonly string[]; most: number },
): Promise<EventRow[]> {
  const rows = await database.query<RawEvent>(
    `select ${EVENT_COLUMNS} from events e
     where source = $1 and id > $3 and exists (select from unnest($2::text[]) t where e.type like t)
       and event_data(data, body) @> $4::jsonb and id <> all($6)
       and exists (select from runs r where r.id = $7 and e.received_at >= r.created_at and e.id <> r.event_id)
       and not exists (select from bursts b where b.run_id = $7 and b.event_id = e.id)
     order by id limit $5`,
    [query.source, query.types, earliestAfter(runId), JSON.stringify(query.match), query.most, query.not, runId],
  );
  return rows.map(toEventRow);
}

/** Events whose ids are before that one's, newest first. */
export async function eventsBefore(
  database: Database,
  eventId: string,
  query: Wanted & { most: number },
): Promise<EventRow[]> {
  const rows = await database.query<RawEvent>(
    `select ${EVENT_COLUMNS} from events e
     where source = $1 and id < $3 and exists (select from unnest($2::text[]) t where e.type like t)
       and event_data(data, body) @> $4::jsonb
     order by id desc limit $5`,
    [query.source, query.types, eventId, JSON.stringify(query.match), query.most],
  );
  return rows.map(toEventRow);
}

/** No event that came in after this run was made has a smaller id. */
export function earliestAfter(runId: string): string {
  return firstId("evt", timeOf(runId) - MOST_SKEW_MILLISECONDS);
}

/** The request exactly as it came in, or null for an event that no request brought. */
export async function findRequest(database: Database, eventId: string): Promise<RawRequest | null> {
  const [row] = await database.query<RawRequest>(
    `select ${REQUEST} from events e left join requests q on q.id = e.request_id
     where e.id = $1 and (e.body is not null or q.id is not null)`,
    [eventId],
  );
  return row ?? null;
}

/** An event's request: its own, or the one that brought it with others (`requests q`). */
export const REQUEST = `coalesce(e.method, q.method) as method, coalesce(e.url, q.url) as url,
  coalesce(e.headers, q.headers) as headers, coalesce(e.body, q.body) as body`;

/** The newest events, newest first. */
export async function latestEvents(
  database: Database,
  filter: { source?: string; limit: number },
): Promise<{ id: string; source: string; type: string; time: Date; outcome: EventOutcome }[]> {
  return await database.query(
    `select id, source, type, time, case when ${DEAD_REASON} is null then outcome else 'dead' end as outcome
     from events e where $1::text is null or source = $1 order by id desc limit $2`,
    [filter.source ?? null, filter.limit],
  );
}
