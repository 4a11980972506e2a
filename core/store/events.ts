import type { EventOutcome, NewEvent, RawRequest } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { Database } from "./database.ts";

/** A run to be queued with its event. */
export interface RunSeed {
  readonly id: string;
  readonly handler: string;
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
}

export interface KeptEvent {
  /** The id under which the delivery is kept: the first's, when it is a duplicate. */
  readonly eventId: string;
  readonly runIds: readonly string[];
  readonly duplicate: boolean;
}

const RUN_FIELDS = `id text, event_id text, parent_id text, handler text, priority smallint, key text,
  key_limit integer, attempts integer, delays integer[], integrity text, privacy text, limits jsonb`;
const INSERT_RUNS = `insert into runs (id, event_id, parent_id, handler, priority, key, key_limit, max_attempts, delays, integrity, privacy, limits)
  select r.id, r.event_id, r.parent_id, r.handler, r.priority, r.key, r.key_limit, r.attempts, r.delays, r.integrity, r.privacy, r.limits`;

// All bodies travel as one binary value, each event naming its slice of it; data that is just the parsed body
// is parsed here and not sent twice.
const KEEP = `
  with incoming as (
    select i.*, substring($2::bytea from i.body_from for i.body_length) as body
    from json_to_recordset($1) as i(id text, source text, type text, key text, time timestamptz, data jsonb, data_is_body boolean,
      problem text, outcome text, reason text, integrity text, privacy text, parent_run text, method text, url text,
      headers json, body_from integer, body_length integer)
  ), kept as (
    insert into events (id, source, type, key, time, data, problem, outcome, reason, integrity, privacy, parent_run, method, url, headers, body)
    select id, source, type, key, time, case when data_is_body then convert_from(body, 'UTF8')::jsonb else data end,
      problem, outcome, reason, integrity, privacy, parent_run, method, url, headers, body
    from incoming on conflict (source, key) do nothing
    returning id, source, type, data
  ), queued as (
    ${INSERT_RUNS} from json_to_recordset($3) as r(${RUN_FIELDS}) join kept on kept.id = r.event_id
  ), woken as (
    update runs set status = 'queued', wake_at = null
    from waits w join kept on kept.source = w.source
    where runs.id = w.run_id and runs.status = 'waiting'
      and exists (select from unnest(w.types) t where kept.type like t) and kept.data @> w.match
  )
  select id from kept`;

/**
 * Keeps events and queues their runs in one statement, and so in one commit. An event whose (source, key) is
 * there already is not kept again; if the first one has no runs and this one would have, it gets them now.
 */
export async function keepEvents(database: Database, seeds: readonly EventSeed[]): Promise<KeptEvent[]> {
  const bodies: Uint8Array[] = [];
  let at = 1;
  const rows = seeds.map((seed) => {
    const { request } = seed.event;
    const from = at;
    if (request) {
      bodies.push(request.body);
      at += request.body.length;
    }
    return {
      ...eventRow(seed),
      body_from: request ? from : null,
      body_length: request ? request.body.length : null,
    };
  });
  const runs = seeds.flatMap((seed) => runRows(seed.id, seed.event.label, seed.runs));
  const kept = await database.query<{ id: string }>(
    KEEP,
    [JSON.stringify(rows), Buffer.concat(bodies), JSON.stringify(runs)],
    "keep-events",
  );
  const ids = new Set(kept.map((row) => row.id));
  return await Promise.all(
    seeds.map((seed) =>
      ids.has(seed.id)
        ? { eventId: seed.id, runIds: seed.runs.map((run) => run.id), duplicate: false }
        : keepDuplicate(database, seed),
    ),
  );
}

function eventRow(seed: EventSeed): object {
  const { event } = seed;
  const dataIsBody = event.request !== undefined && event.data === BODY;
  return {
    id: seed.id,
    source: event.source,
    type: event.type,
    key: event.key,
    time: event.time,
    data: dataIsBody ? null : event.data,
    data_is_body: dataIsBody,
    problem: event.problem ?? null,
    outcome: seed.outcome,
    reason: seed.reason,
    integrity: event.label.integrity,
    privacy: event.label.privacy,
    parent_run: event.parentRunId ?? null,
    method: event.request?.method ?? null,
    url: event.request?.url ?? null,
    headers: event.request?.headers ?? null,
  };
}

/** Stands for data that is exactly the request's body parsed as JSON: the database parses it. */
export const BODY: unique symbol = Symbol("the parsed body");

function runRows(eventId: string, label: Label, runs: readonly RunSeed[]): object[] {
  return runs.map((run) => ({
    id: run.id,
    event_id: eventId,
    parent_id: run.parentId,
    handler: run.handler,
    priority: run.priority,
    key: run.key,
    key_limit: run.keyLimit,
    attempts: run.attempts,
    delays: run.delays,
    integrity: label.integrity,
    privacy: label.privacy,
    limits: run.limits,
  }));
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
    await inside.query("update events set outcome = $2, reason = null where id = $1", [
      eventId,
      seed.outcome,
    ]);
    return { eventId, runIds: seed.runs.map((run) => run.id), duplicate: true };
  });
}

/** Queues runs on an event that is kept already. */
export async function addRuns(
  database: Database,
  event: { id: string; label: Label },
  runs: readonly RunSeed[],
): Promise<void> {
  await database.query(`${INSERT_RUNS} from json_to_recordset($1) as r(${RUN_FIELDS})`, [
    JSON.stringify(runRows(event.id, event.label, runs)),
  ]);
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

const EVENT_COLUMNS = `id, source, type, key, time, data, problem, json_build_object('integrity', integrity, 'privacy', privacy) as label`;

/** One event, or null. */
export async function findEvent(database: Database, id: string): Promise<EventRow | null> {
  const [row] = await database.query<EventRow>(`select ${EVENT_COLUMNS} from events where id = $1`, [id]);
  return row ?? null;
}

/** Events of a source after an id, oldest first; `types` are patterns of LIKE. */
export async function eventsSince(
  database: Database,
  query: { source: string; types: readonly string[]; match: object; since: string; most: number },
): Promise<EventRow[]> {
  return await database.query<EventRow>(
    `select ${EVENT_COLUMNS} from events e
     where source = $1 and id > $3 and data @> $4::jsonb and exists (select from unnest($2::text[]) t where e.type like t)
     order by id limit $5`,
    [query.source, query.types, query.since, JSON.stringify(query.match), query.most],
  );
}

/** The request exactly as it came in, or null for an event that no request brought. */
export async function findRequest(database: Database, eventId: string): Promise<RawRequest | null> {
  const [row] = await database.query<RawRequest>(
    "select method, url, headers, body from events where id = $1 and body is not null",
    [eventId],
  );
  return row ?? null;
}

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
