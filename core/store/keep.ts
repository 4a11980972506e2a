import type { EventOutcome, NewEvent, RawRequest } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { Database } from "./database.ts";
import { columns, toJson } from "./encode.ts";
import { giveTurns, holdPauses } from "./held.ts";

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
  /** The worker that claims it as it is kept, unless a pause holds it back. Not for one with a key, a burst or a rate. */
  readonly worker?: string;
  /** It begins at `wakeAt`, and until then gathers the events of the burst's name; `until` is the latest it may begin. */
  readonly burst?: { readonly name: string; readonly wakeAt: Date; readonly until: Date | null };
  /** Of this name so many may begin within so many milliseconds. */
  readonly rate?: { readonly name: string; readonly limit: number; readonly milliseconds: number };
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
  /** Those of its runs that are their worker's already, and since when. */
  readonly begun?: { readonly runs: readonly RunSeed[]; readonly at: Date };
}

// Columns travel as arrays, one statement however many rows; all bodies and headers as one binary value, each
// event naming its slices of it: what is long is neither quoted nor unquoted. Where nothing is wanted, `exists` keeps
// the statement from reading all runs, as it else does while the planner knows nothing of the table yet.
const RUN = `id, event_id, parent_id, handler, version, priority, key, key_limit, max_attempts, delays, integrity, privacy, limits`;
const RUN_TYPES = "text text text text text smallint text integer integer integer[] text text jsonb".split(" ");
const HELD_TYPES = "text integer bigint text timestamptz timestamptz".split(" ");
// Arrays of arrays must be of one length: delays travel as text.
const runsFrom = (first: number, types: readonly string[], more = "") => {
  const parameters = types.map((type, place) => `$${first + place}::${type === "integer[]" ? "text" : type}[]`);
  return `unnest(${parameters.join(", ")}) as r(${RUN}${more})`;
};
const RUN_OF = RUN.replace(/\w+/g, "r.$&").replace("r.delays", "r.delays::integer[]");
/** The join of some privacies. */
const privacyOf = (has: (privacy: string) => string) =>
  `case when ${has("secret")} then 'secret' when ${has("private")} then 'private' else 'public' end`;
/** A run that has gathered so many events begins. */
const MOST_GATHERED = 1000;
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
    returning id, source, request_id
  ), held as (
    select ${holdPauses("$34")} as paused
  ), queued as (
    insert into runs (${RUN}, status, waiting, worker, claim, started_at)
    select ${RUN_OF}, case when h.by is not null then 'waiting' when c.worker is not null then 'running' else 'queued' end, h.by,
      c.worker, case when c.worker is null then 0 else 1 end, case when c.worker is not null then now() end
    from held, ${runsFrom(20, [...RUN_TYPES, "text"], ", worker")} join kept on kept.id = r.event_id,
      lateral (select held_by(paused, r.handler, kept.source, null, null) as by) h,
      lateral (select case when h.by is null then r.worker end as worker) c
  ), wanted as (
    select w.run_id from waits w join incoming i on i.source = w.source
    where i.id in (select id from kept)
      and exists (select from unnest(w.types) t where i.type like t) and event_data(i.data, i.body) @> w.match
  ), woken as (
    update runs set status = 'queued', wake_at = null
    where status = 'waiting' and exists (select from wanted) and id in (select run_id from wanted)
  )
  select id, request_id as "requestId", date_part('epoch', now()) * 1000 as at, (select nullif(paused, '{}') from held) as paused
  from kept`;
const KEEP_REQUESTS = `
  insert into requests (id, method, url, headers, body)
  select s.id, s.method, s.url, s.headers, substring($1::bytea from s.body_from for s.body_length)
  from unnest($2::text[], $3::text[], $4::text[], $5::json[], $6::integer[], $7::integer[])
    as s(id, method, url, headers, body_from, body_length)`;

// Bursts are taken in the order of their names, so that two statements which want the same ones take turns.
const ADD = `
  with held as (
    select ${holdPauses("$2")} as paused
  ), added as (
    select r.*, held_by(paused, r.handler, $1, r.rate_limit, r.rate_ms) as by
    from held, ${runsFrom(3, [...RUN_TYPES, ...HELD_TYPES], ", rate, rate_limit, rate_ms, burst, burst_at, until")}
  ), queued as (
    insert into runs (${RUN}, rate, rate_limit, rate_ms, status, waiting)
    select ${RUN_OF}, rate, rate_limit, rate_ms, case when r.by is null then 'queued' else 'waiting' end, r.by
    from added r where burst is null
  ), sums as (
    select burst, max(event_id) as newest, count(*) as events, max(burst_at) as burst_at, max(integrity) as integrity,
      ${privacyOf((privacy) => `bool_or(privacy = '${privacy}')`)} as privacy
    from added where burst is not null group by burst
  ), firsts as (
    select distinct on (burst) * from added where burst is not null order by burst, event_id, id
  ), gathered as (
    insert into runs (${RUN}, rate, rate_limit, rate_ms, burst, status, wake_at, waiting)
    select ${RUN_OF.replace("r.event_id", "s.newest").replace("r.integrity, r.privacy", "s.integrity, s.privacy")}, rate, rate_limit, rate_ms,
      r.burst, 'waiting', least(s.burst_at, r.until), jsonb_build_object('kind', 'debounce', 'events', s.events, 'until', r.until)
    from firsts r join sums s on s.burst = r.burst order by r.burst
    on conflict (burst) where burst is not null do update set
      event_id = greatest(runs.event_id, excluded.event_id), integrity = greatest(runs.integrity, excluded.integrity),
      privacy = ${privacyOf((privacy) => `'${privacy}' in (runs.privacy, excluded.privacy)`)},
      wake_at = case when (runs.waiting ->> 'events')::integer >= ${MOST_GATHERED} then now()
        else least(greatest(runs.wake_at, excluded.wake_at), (runs.waiting ->> 'until')::timestamptz) end,
      waiting = jsonb_set(runs.waiting, '{events}',
        to_jsonb((runs.waiting ->> 'events')::integer + (excluded.waiting ->> 'events')::integer))
    returning id, burst
  ), members as (
    insert into bursts (run_id, event_id) select g.id, a.event_id from added a join gathered g on g.burst = a.burst
    on conflict do nothing
  )
  select a.id as asked, coalesce(g.id, a.id) as id from added a left join gathered g on g.burst = a.burst`;

/**
 * Keeps events and queues their runs in one commit. An event whose (source, key) is there already is not kept again;
 * if the first one has no runs and this one, of the same type, would have, it gets them now. Of the `shared` requests those are kept that
 * brought something new.
 */
export async function keepEvents(
  database: Database,
  seeds: readonly EventSeed[],
  shared: readonly SharedRequest[] = [],
): Promise<KeptEvent[]> {
  const simple = shared.length === 0 && !seeds.some((seed) => seed.runs.some(mayBeHeld));
  const runIds = new Map<string, string>();
  const kept = simple
    ? await keepSeeds(database, seeds)
    : await database.transaction((inside) => keepTogether(inside, seeds, shared, runIds));
  const rows = new Map(kept.map((row) => [row.id, row]));
  return await Promise.all(
    seeds.map((seed) => {
      const row = rows.get(seed.id);
      if (!row) return keepDuplicate(database, seed);
      const ids = seed.runs.map(({ id }) => runIds.get(id) ?? id);
      return { eventId: seed.id, runIds: ids, duplicate: false, begun: begunOf(seed, row) };
    }),
  );
}

function begunOf({ event, runs }: EventSeed, { at, paused }: NewRow): NonNullable<KeptEvent["begun"]> {
  const isPaused = (run: RunSeed) => pausesOf(event.source, [run]).some((name) => paused?.includes(name));
  return { runs: runs.filter((run) => run.worker && !isPaused(run)), at: new Date(at) };
}

const mayBeHeld = (run: RunSeed) => run.burst !== undefined || run.rate !== undefined;

interface NewRow {
  readonly id: string;
  readonly requestId: string | null;
  /** When the transaction began, in milliseconds. */
  readonly at: number;
  /** Those of the names that are paused, if any is. */
  readonly paused: readonly string[] | null;
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
  const runs = seeds.flatMap((seed) =>
    seed.runs.flatMap((run) => (mayBeHeld(run) ? [] : [[...runRow(seed.id, seed.event.label, run), run.worker]])),
  );
  const names = new Set(seeds.flatMap((seed) => pausesOf(seed.event.source, seed.runs)));
  const values = [Buffer.concat(pieces), ...columns(rows, 18), ...columns(runs, RUN_TYPES.length + 1), [...names]];
  return await database.query<NewRow>(KEEP, values, "keep-events");
}

/** In one transaction, with what needs more than one statement: requests, and runs that may be held back. */
async function keepTogether(
  inside: Database,
  seeds: readonly EventSeed[],
  shared: readonly SharedRequest[],
  runIds: Map<string, string>,
): Promise<NewRow[]> {
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
  const ids = new Set(kept.map((row) => row.id));
  const sources = Map.groupBy(
    seeds.filter((seed) => ids.has(seed.id)),
    (seed) => seed.event.source,
  );
  for (const [source, some] of [...sources].sort()) {
    const held = some.flatMap(({ id, event: { label }, runs }) =>
      runs.filter(mayBeHeld).map((run) => ({ event: { id, label }, run })),
    );
    if (held.length > 0) await queueRuns(inside, source, held, runIds);
  }
  return kept;
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

function runRow(eventId: string, label: Label, run: RunSeed): unknown[] {
  return [
    ...[run.id, eventId, run.parentId, run.handler, run.version, run.priority, run.key, run.keyLimit, run.attempts],
    ...[`{${run.delays.join(",")}}`, label.integrity, label.privacy, JSON.stringify(run.limits)],
  ];
}

/** The pauses that would hold these runs back. */
const pausesOf = (source: string, runs: readonly RunSeed[]) => [`source:${source}`, ...runs.map((run) => run.handler)];

async function keepDuplicate(database: Database, seed: EventSeed): Promise<KeptEvent> {
  return await database.transaction(async (inside) => {
    const { source, key, type } = seed.event;
    const [first] = await inside.query<{ id: string; same: boolean }>(
      "select id, type = $3 as same from events where source = $1 and key = $2 for update",
      [source, key, type],
    );
    const eventId = first!.id;
    const existing = await inside.query<{ id: string }>(
      "select id from runs where event_id = $1 union select run_id from bursts where event_id = $1",
      [eventId],
    );
    if (existing.length > 0 || seed.runs.length === 0 || !first!.same) {
      return { eventId, runIds: existing.map((run) => run.id), duplicate: true };
    }
    const event = { ...seed.event, id: eventId };
    const [runIds] = await addRuns(inside, [{ event, runs: seed.runs }]);
    await inside.query("update events set outcome = $2, reason = null where id = $1", [eventId, seed.outcome]);
    return { eventId, runIds: runIds!, duplicate: true };
  });
}

/** Queues runs on events that are kept already, and returns for each event the ids under which they are kept. */
export async function addRuns(
  database: Database,
  events: readonly { event: { id: string; source: string; label: Label }; runs: readonly RunSeed[] }[],
): Promise<string[][]> {
  const ids = new Map<string, string>();
  await database.transaction(async (inside) => {
    for (const [source, group] of [...Map.groupBy(events, ({ event }) => event.source)].sort()) {
      const added = group.flatMap(({ event, runs }) => runs.map((run) => ({ event, run })));
      if (added.length > 0) await queueRuns(inside, source, added, ids);
    }
  });
  return events.map(({ runs }) => runs.map((run) => ids.get(run.id)!));
}

/** Notes in `ids` the id under which each is kept: that of the run which gathers its burst, if there is one. */
async function queueRuns(
  inside: Database,
  source: string,
  runs: readonly { event: { id: string; label: Label }; run: RunSeed }[],
  ids: Map<string, string>,
): Promise<void> {
  const rows = runs.map(({ event, run }) => {
    const { rate, burst } = run;
    const held = [rate?.name, rate?.limit, rate?.milliseconds, burst?.name, burst?.wakeAt, burst?.until];
    return [...runRow(event.id, event.label, run), ...held];
  });
  const names = new Set(runs.flatMap(({ run }) => pausesOf(source, [run])));
  const values = [source, [...names], ...columns(rows, RUN_TYPES.length + HELD_TYPES.length)];
  for (const { asked, id } of await inside.query<{ asked: string; id: string }>(ADD, values, "add-runs")) {
    ids.set(asked, id);
  }
  await giveTurns(
    inside,
    runs.flatMap(({ run }) => (run.rate && !run.burst ? [{ id: run.id, rate: run.rate.name }] : [])),
  );
}
