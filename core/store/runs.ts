import type { Label } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { Failure, RunStatus, Waiting } from "../define/run.ts";
import type { Database } from "./database.ts";
import { columns, fromJson, toJson, toJsonOrNull } from "./encode.ts";
import { type EventRow, earliestAfter, type RawEvent, toEventRow, type Wanted } from "./events.ts";
import { fileFailedRuns } from "./issues.ts";
import { BODY, type EventSeed, type RunSeed } from "./keep.ts";

/** A run as its worker sees it, with its event. */
export interface ClaimedRun {
  readonly id: string;
  readonly handler: string;
  readonly version: string | null;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly delays: readonly number[];
  readonly claim: number;
  /** Others may wait for it to end. */
  readonly keyed: boolean;
  readonly label: Label;
  readonly limits: Limits;
  readonly usd: number;
  /** When it was first claimed. */
  readonly startedAt: Date;
  readonly workedMilliseconds: number;
  /** The newest of `events`. */
  readonly event: EventRow;
  /** All that it is to deal with, oldest first. */
  readonly events: readonly EventRow[];
}

/** Takes at most `most` ready runs for worker `me`; see claim_runs in schema.sql. */
export async function claimRuns(database: Database, me: string, most: number): Promise<ClaimedRun[]> {
  const rows = await database.query<ClaimedRow>(CLAIM, [me, most], "claim-runs");
  // The function sees what was committed while the statement around it ran, the statement does not: the event of
  // a run that was queued in that moment is asked for again.
  const late = rows.filter((row) => row.id === null);
  const gathered = rows.filter((row) => row.id === null || row.gathered);
  if (gathered.length === 0) return rows.map((row) => toClaimed(row));
  const ids = late.map((row) => row.event_id);
  const [events, bursts] = await Promise.all([
    ids.length === 0 ? [] : database.query<ClaimedRow>(`select ${EVENT} from events e where id = any($1)`, [ids]),
    database.query<ClaimedRow>(
      `select b.run_id, ${EVENT} from bursts b join events e on e.id = b.event_id where b.run_id = any($1) order by e.id`,
      [gathered.map((row) => row.run_id)],
    ),
  ]);
  const eventOf = new Map(events.map((event) => [event.id, event]));
  const eventsOf = Map.groupBy(bursts, (row) => row.run_id);
  return rows.map((row) => toClaimed({ ...row, ...eventOf.get(row.event_id) }, eventsOf.get(row.run_id)));
}

// Times as milliseconds and delays as text: of a hundred runs that are claimed at once, pg's own parsers cost more than all else.
const EVENT = `e.id, e.source, e.type, e.key, date_part('epoch', e.time) * 1000 as at, e.data, e.problem, e.integrity, e.privacy,
    case when e.data is null then e.body end as body`;
const CLAIM = `select r.id as run_id, r.event_id, r.handler, r.version, r.attempts, r.max_attempts, r.delays::text as delays, r.claim, r.limits,
    r.usd, r.worked_ms, r.keyed, date_part('epoch', r.started_at) * 1000 as started, r.integrity as run_integrity, r.privacy as run_privacy,
    exists (select from bursts b where b.run_id = r.id) as gathered, ${EVENT}
  from claim_runs($1, $2) r left join lateral (select * from events where events.id = r.event_id limit 1) e on true`;

/** A run that was claimed as it was kept, as `claimRuns` would have brought it. */
export function toClaimedRun(
  { id, event: { label, data, request, ...event } }: EventSeed,
  run: RunSeed,
  at: Date,
): ClaimedRun {
  const whole = data === BODY ? { data: null, body: request!.body } : { data: fromJson(toJson(data)), body: null };
  const { source, type, key, time, problem = null } = event;
  const row = toEventRow({ id, source, type, key, time, problem, ...label, ...whole });
  const { handler, version, attempts: maxAttempts, delays, limits } = run;
  const begun = { claim: 1, keyed: false, attempts: 0, usd: 0, workedMilliseconds: 0, startedAt: at };
  return { id: run.id, handler, version, maxAttempts, delays, limits, label, ...begun, event: row, events: [row] };
}

type ClaimedRow = Omit<RawEvent, "time"> & {
  run_id: string;
  event_id: string;
  handler: string;
  version: string | null;
  attempts: number;
  max_attempts: number;
  delays: string;
  claim: number;
  keyed: boolean;
  limits: Limits;
  usd: number;
  worked_ms: number;
  started: number;
  run_integrity: Label["integrity"];
  run_privacy: Label["privacy"];
  at: number;
  gathered: boolean;
};

function toClaimed(row: ClaimedRow, burst?: readonly ClaimedRow[]): ClaimedRun {
  const events = burst?.map(toEvent) ?? [toEvent(row)];
  return {
    id: row.run_id,
    handler: row.handler,
    version: row.version,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    delays: row.delays === "{}" ? [] : row.delays.slice(1, -1).split(",").map(Number),
    claim: row.claim,
    keyed: row.keyed,
    label: { integrity: row.run_integrity, privacy: row.run_privacy },
    limits: row.limits,
    usd: row.usd,
    startedAt: new Date(row.started),
    workedMilliseconds: row.worked_ms,
    event: events.at(-1)!,
    events,
  };
}

function toEvent({ id, source, type, key, at, data, problem, integrity, privacy, body }: ClaimedRow): EventRow {
  return toEventRow({ id, source, type, key, time: new Date(at), data, problem, integrity, privacy, body });
}

/** What a worker writes when it lets a run go: finished, or to wait. */
export interface Release {
  readonly id: string;
  readonly claim: number;
  readonly status: RunStatus;
  readonly version: string | null;
  readonly attempts: number;
  readonly result: unknown;
  readonly error: Failure | null;
  readonly waiting: Waiting | null;
  /** When to wake a waiting run; null: only a fact wakes it. */
  readonly wakeAt: Date | null;
  readonly label: Label;
  readonly usd: number;
  readonly workedMilliseconds: number;
  readonly waits: readonly WaitSeed[];
}

export interface WaitSeed extends Wanted {
  readonly step: string;
}

/**
 * Lets runs go, all in one statement, with what they wait for, and nothing that they waited for before; those that fail are filed under their issues in the same transaction. Returns for
 * each whether it was still ours: `false` means that another worker has taken the run over, and nothing was written.
 */
export async function releaseRuns(database: Database, releases: readonly Release[]): Promise<boolean[]> {
  if (!releases.some((release) => release.status === "failed")) return await release(database, releases);
  return await database.transaction(async (inside) => {
    const ours = await release(inside, releases);
    const failed = releases.flatMap(({ id, status, error }, place) =>
      ours[place] && status === "failed" && error ? [{ id, error }] : [],
    );
    await fileFailedRuns(inside, failed);
    return ours;
  });
}

const RELEASE = "select id from release_runs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as id";
const RELEASE_WITH_WAITS = `
  with released as (${RELEASE}), waiting as (
    insert into waits (run_id, step, source, types, match, since)
    select w.run_id, w.step, w.source, w.types, w.match, w.since
    from json_to_recordset($14) as w(run_id text, step text, source text, types text[], match jsonb, since text)
    join released on released.id = w.run_id
    on conflict (run_id, step) do update set created_at = now()
  ), over as (
    delete from waits w where w.run_id = any($15) and exists (select from released r where r.id = w.run_id)
      and not exists (select from json_to_recordset($14) as n(run_id text, step text) where n.run_id = w.run_id and n.step = w.step)
  )
  select id from released`;

async function release(database: Database, releases: readonly Release[]): Promise<boolean[]> {
  const rows = releases.map((release) => [
    ...[release.id, release.claim, release.status, release.version, release.attempts],
    ...[toJsonOrNull(release.result), toJsonOrNull(release.error), toJsonOrNull(release.waiting), release.wakeAt],
    ...[release.label.integrity, release.label.privacy, release.usd, Math.round(release.workedMilliseconds)],
  ]);
  const waits = releases.flatMap(({ id, waits }) =>
    waits.map((wait) => ({ ...wait, run_id: id, since: earliestAfter(id) })),
  );
  const resumed = releases.flatMap(({ id, claim }) => (claim > 1 ? [id] : []));
  const values = columns(rows, 13);
  // Most runs end at their first claim and wait for nothing: the short statement is quicker by a sixth.
  const released = await (waits.length + resumed.length === 0
    ? database.query<{ id: string }>(RELEASE, values, "release-runs")
    : database.query<{ id: string }>(RELEASE_WITH_WAITS, [...values, toJson(waits), resumed], "release-with-waits"));
  const ids = new Set(released.map((row) => row.id));
  return releases.map((release) => ids.has(release.id));
}

/**
 * Wakes what is due: runs that have begun and whose time has come, and runs whose event was kept, or whose approval was answered, in
 * the moment in which they fell asleep (the two did not see each other; no commit takes longer than the minute that is looked at).
 */
export async function wakeDue(database: Database, now: Date): Promise<number> {
  const rows = await database.query(
    `update runs set status = 'queued', wake_at = null
     where status = 'waiting' and id = any(array(
       (select id from runs where status = 'waiting' and wake_at <= $1 and started_at is not null order by wake_at limit 1000)
       union (select w.run_id from waits w where w.created_at > now() - interval '1 minute' and exists (
         select from events e join runs r on r.id = w.run_id
         where e.source = w.source and e.id > w.since and event_data(e.data, e.body) @> w.match
           and exists (select from unnest(w.types) t where e.type like t) and e.id <> r.event_id
           and not exists (select from bursts b where b.run_id = w.run_id and b.event_id = e.id)
           and e.received_at >= r.created_at and e.received_at > now() - interval '1 minute'
           and not exists (select from steps s where s.run_id = w.run_id and s.kind = 'wait' and s.value ->> 'eventId' = e.id))
         and not exists (select from steps s where s.run_id = w.run_id and s.key = w.step and s.status = 'completed'))
       union (select a.run_id from approvals a join runs r on r.id = a.run_id
         where a.answered_at > now() - interval '1 minute' and r.status = 'waiting' and r.waiting ->> 'kind' <> 'retry'
         and not exists (select from steps s where s.run_id = a.run_id and s.key = a.step and s.status = 'completed'))))
     returning id`,
    [now],
    "wake-due",
  );
  return rows.length;
}

/** What `cancelRun` and `retryRun` came to; null: there is no such run. */
export type Verdict = { readonly done: boolean; readonly status: RunStatus } | null;

/** Cancels a run that is not under way, and asks a running one (and its children) to stop. */
export async function cancelRun(database: Database, id: string): Promise<Verdict> {
  const rows = await database.query<{ id: string; status: RunStatus; was: RunStatus }>(
    `with recursive family as (
       select id from runs where id = $1 union select r.id from runs r join family f on r.parent_id = f.id
     ), held as (select id, status from runs where id in (select id from family) for update),
     forgotten as (delete from waits w using held where w.run_id = held.id)
     update runs r set cancel = true,
       status = case when held.status in ('queued', 'waiting') then 'canceled' else r.status end,
       waiting = null, wake_at = null, burst = null,
       finished_at = case when held.status in ('queued', 'waiting') then now() else r.finished_at end
     from held where r.id = held.id and held.status in ('queued', 'waiting', 'running')
     returning r.id, r.status, held.status as was`,
    [id],
  );
  if (rows.length > 0) return { done: true, status: rows.find((row) => row.id === id)?.status ?? "canceled" };
  return await statusOf(database, id);
}

async function statusOf(database: Database, id: string): Promise<Verdict> {
  const [run] = await database.query<{ status: RunStatus }>("select status from runs where id = $1", [id]);
  return run ? { done: false, status: run.status } : null;
}

/** What can be retried: what has failed or was canceled, and what waits for its next try. */
export const RETRIABLE = "(status in ('failed', 'canceled') or (status = 'waiting' and waiting ->> 'kind' = 'retry'))";

/** Queues a run again that can be retried; its completed steps are kept, failed ones forgotten, and it has its minutes again. */
export async function retryRun(database: Database, id: string): Promise<Verdict> {
  return await database.transaction(async (inside) => {
    const [queued] = await retryRuns(inside, [id]);
    return queued ? { done: true, status: "queued" } : await statusOf(inside, id);
  });
}

/** The same for those of these runs that can be, at most at this priority. Returns their ids. */
export async function retryRuns(inside: Database, ids: readonly string[], priority?: number): Promise<string[]> {
  const rows = await inside.query<{ id: string }>(
    `update runs set status = 'queued', attempts = 0, crashes = 0, worked_ms = 0, cancel = false, error = null, waiting = null,
       wake_at = null, finished_at = null, priority = least(priority, $2)
     where id = any($1) and ${RETRIABLE} returning id`,
    [ids, priority ?? null],
  );
  const queued = rows.map((row) => row.id);
  if (queued.length > 0) await inside.query("delete from steps where run_id = any($1) and status = 'failed'", [queued]);
  return queued;
}
