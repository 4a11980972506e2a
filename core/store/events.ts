import { createHash } from "node:crypto";
import { newId, timeOf } from "../base/ids.ts";
import type { EventOutcome, NewEvent, RawRequest } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { Database } from "./database.ts";

/** A run to be queued with its event. */
export interface RunSeed {
  readonly id: string;
  readonly handler: string;
  /** The fingerprint of its code. */
  readonly version: string;
  readonly priority: number;
  readonly key: string | null;
  readonly keyLimit: number | null;
  readonly attempts: number;
  readonly delays: readonly number[];
  readonly limits: Limits;
  readonly parentId: string | null;
}

/** An event to be kept, with its runs. */
export interface EventSeed {
  readonly id: string;
  readonly event: NewEvent & { readonly key: string; readonly time: Date };
  readonly outcome: EventOutcome;
  readonly reason: string | null;
  readonly runs: readonly RunSeed[];
  /** The request that brought it with others. */
  readonly requestId?: string;
}

/** A request that brought several events. */
export interface SharedRequest extends RawRequest {
  readonly id: string;
}

export interface KeptEvent {
  /** The id under which the delivery is kept: the first's, when it is a duplicate. */
  readonly eventId: string;
  readonly runIds: readonly string[];
  readonly duplicate: boolean;
}

// Columns travel as arrays, one statement however many rows; all bodies and headers as one binary value, each
// event naming its slices of it: what is long is neither quoted nor unquoted.
const INSERT_RUNS = `insert into runs
    (id, event_id, parent_id, handler, version, priority, key, key_limit, max_attempts, delays, integrity, privacy, limits)
  select r.id, r.event_id, r.parent_id, r.handler, r.version, r.priority, r.key, r.key_limit, r.attempts, r.delays::integer[],
    r.integrity, r.privacy, r.limits`;
const runsFrom = (first: number) => {
  const types = [
    "text",
    "text",
    "text",
    "text",
    "text",
    "smallint",
    "text",
    "integer",
    "integer",
    "text",
    "text",
    "text",
    "jsonb",
  ];
  const parameters = types.map((type, place) => `$${first + place}::${type}[]`).join(", ");
  return `unnest(${parameters})
    as r(id, event_id, parent_id, handler, version, priority, key, key_limit, attempts, delays, integrity, privacy, limits)`;
};
const KEEP = `
  with incoming as (
    select i.*, substring($1::bytea from i.headers_from for i.headers_length) as head,
      substring($1::bytea from i.headers_from + i.headers_length for i.body_length) as body
    from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::double precision[], $7::jsonb[], $8::text[], $9::text[], $10::text[],
      $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::integer[], $18::integer[], $19::integer[])
      as i(id, source, type, key, at, data, problem, outcome, reason, integrity, privacy, parent_run, method, url,
        request_id, headers_from, headers_length, body_length)
  ), kept as (
    insert into events (id, source, type, key, time, data, problem, outcome, reason, integrity, privacy, parent_run, method, url, headers, body, request_id)
    select id, source, type, key, to_timestamp(at / 1000), data, problem, outcome, reason, integrity, privacy, parent_run, method, url,
      convert_from(head, 'UTF8')::json, body, request_id
    from incoming on conflict (source, key) do nothing
    returning id, request_id
  ), queued as (
    ${INSERT_RUNS} from ${runsFrom(20)} join kept on kept.id = r.event_id
  ), woken as (
    update runs set status = 'queued', wake_at = null
    from waits w join incoming i on i.source = w.source
    where runs.id = w.run_id and runs.status = 'waiting' and i.id in (select id from kept)
      and exists (select from unnest(w.types) t where i.type like t) and event_data(i.data, i.body) @> w.match
  )
  select id, request_id as "requestId" from kept`;
const KEEP_REQUESTS = `
  insert into requests (id, method, url, headers, body)
  select s.id, s.method, s.url, s.headers, substring($1::bytea from s.body_from for s.body_length)
  from unnest($2::text[], $3::text[], $4::text[], $5::json[], $6::integer[], $7::integer[])
    as s(id, method, url, headers, body_from, body_length)`;

/**
 * Keeps events and queues their runs in one commit. An event whose (source, key) is there already is not kept again;
 * if the first one has no runs and this one would have, it gets them now. Of the `shared` requests those are kept that
 * brought something new.
 */
export async function keepEvents(
  database: Database,
  seeds: readonly EventSeed[],
  shared: readonly SharedRequest[] = [],
): Promise<KeptEvent[]> {
  const keep = shared.length === 0 ? keepSeeds(database, seeds) : keepShared(database, seeds, shared);
  const ids = new Set((await keep).map((row) => row.id));
  return await Promise.all(
    seeds.map((seed) =>
      ids.has(seed.id)
        ? { eventId: seed.id, runIds: seed.runs.map((run) => run.id), duplicate: false }
        : keepDuplicate(database, seed),
    ),
  );
}

interface NewRow {
  readonly id: string;
  readonly requestId: string | null;
}

/** In one statement. Returns those that were not there. */
async function keepSeeds(database: Database, seeds: readonly EventSeed[]): Promise<NewRow[]> {
  const pieces: Uint8Array[] = [];
  let at = 1;
  const rows = seeds.map((seed) => {
    const { request } = seed.event;
    if (!request) return [...eventRow(seed), null, null, null];
    const headers = Buffer.from(JSON.stringify(request.headers));
    const row = [...eventRow(seed), at, headers.length, request.body.length];
    pieces.push(headers, request.body);
    at += headers.length + request.body.length;
    return row;
  });
  const runs = seeds.flatMap((seed) => runRows(seed.id, seed.event.label, seed.runs));
  const values = [Buffer.concat(pieces), ...columns(rows, 18), ...columns(runs, 13)];
  return await database.query<NewRow>(KEEP, values, "keep-events");
}

async function keepShared(
  database: Database,
  seeds: readonly EventSeed[],
  shared: readonly SharedRequest[],
): Promise<NewRow[]> {
  return await database.transaction(async (inside) => {
    const kept = await keepSeeds(inside, seeds);
    const wanted = new Set(kept.map((row) => row.requestId));
    const requests = shared.filter((one) => wanted.has(one.id));
    let at = 1;
    const rows = requests.map(({ id, method, url, headers, body }) => {
      at += body.length;
      return [id, method, url, JSON.stringify(headers), at - body.length, body.length];
    });
    const bodies = Buffer.concat(requests.map((one) => one.body));
    if (rows.length > 0) await inside.query(KEEP_REQUESTS, [bodies, ...columns(rows, 6)], "keep-requests");
    return kept;
  });
}

/** Stands for data that is exactly the request's body parsed as JSON: it is not kept a second time. */
export const BODY: unique symbol = Symbol("the parsed body");

function eventRow({ id, event, outcome, reason, requestId }: EventSeed): unknown[] {
  const { request, label } = event;
  const data = event.data === BODY ? null : toJson(event.data);
  return [
    ...[id, event.source, event.type, event.key, event.time.getTime(), data, event.problem ?? null, outcome, reason],
    ...[label.integrity, label.privacy, event.parentRunId ?? null, request?.method ?? null, request?.url ?? null],
    requestId ?? null,
  ];
}

function runRows(eventId: string, label: Label, runs: readonly RunSeed[]): unknown[][] {
  return runs.map((run) => [
    ...[run.id, eventId, run.parentId, run.handler, run.version, run.priority, run.key, run.keyLimit, run.attempts],
    ...[`{${run.delays.join(",")}}`, label.integrity, label.privacy, JSON.stringify(run.limits)],
  ]);
}

/** The columns of these rows as array literals, as `unnest` takes them: pg's own way costs three times as much. */
export function columns(rows: readonly (readonly unknown[])[], width: number): string[] {
  return Array.from({ length: width }, (_, column) => {
    let literal = "";
    for (const row of rows) literal += `,${toElement(row[column])}`;
    return `{${literal.slice(1)}}`;
  });
}

function toElement(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number") return String(value);
  if (value instanceof Date) return `"${value.toISOString()}"`;
  const text = value as string;
  return text.includes('"') || text.includes("\\") ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;
}

/** JSON as jsonb takes it: what that cannot hold (NUL, half a surrogate pair) becomes U+FFFD. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  if (!text.includes("\\u")) return text;
  return text.replace(/(\\\\)|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (_, backslashes) => backslashes ?? "\ufffd");
}

/** The same, with null for what is nothing. */
export function toJsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : toJson(value);
}

const MOST_NAME = 500;

/** A name from outside as an index can hold it: without NUL, and of a long one its beginning and its hash. */
export function toName(text: string): string {
  const clean = text.replaceAll("\0", "\ufffd");
  if (clean.length <= MOST_NAME) return clean;
  return `${clean.slice(0, 200)}~${createHash("sha256").update(clean).digest("hex")}`;
}

async function keepDuplicate(database: Database, seed: EventSeed): Promise<KeptEvent> {
  return await database.transaction(async (inside) => {
    const [first] = await inside.query<{ id: string }>(
      "select id from events where source = $1 and key = $2 for update",
      [seed.event.source, seed.event.key],
    );
    const eventId = first!.id;
    const existing = await inside.query<{ id: string }>("select id from runs where event_id = $1", [eventId]);
    if (existing.length > 0 || seed.runs.length === 0) {
      return { eventId, runIds: existing.map((run) => run.id), duplicate: true };
    }
    await addRuns(inside, { id: eventId, label: seed.event.label }, seed.runs);
    await inside.query("update events set outcome = $2, reason = null where id = $1", [eventId, seed.outcome]);
    return { eventId, runIds: seed.runs.map((run) => run.id), duplicate: true };
  });
}

/** Queues runs on an event that is kept already. */
export async function addRuns(
  database: Database,
  event: { id: string; label: Label },
  runs: readonly RunSeed[],
): Promise<void> {
  await database.query(`${INSERT_RUNS} from ${runsFrom(1)}`, columns(runRows(event.id, event.label, runs), 13));
}

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
  const [row] = await database.query<RawEvent>(`select ${EVENT_COLUMNS} from events where id = $1`, [id]);
  return row ? toEventRow(row) : null;
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
  return newId("evt", timeOf(runId) - MOST_SKEW_MILLISECONDS).slice(0, 14);
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
    `select id, source, type, time, outcome from events where $1::text is null or source = $1 order by id desc limit $2`,
    [filter.source ?? null, filter.limit],
  );
}
