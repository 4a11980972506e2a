import type { SchedulePolicy } from "../define/capability.ts";
import type { Label } from "../define/label.ts";
import type { Failure, RunStatus } from "../define/run.ts";
import type { Database } from "./database.ts";
import { columns } from "./encode.ts";

/** A schedule as it stands in the table. */
export interface ScheduleRow {
  readonly name: string;
  /** Who made it: a capability, the owner, or an agent. */
  readonly origin: "code" | "owner" | "agent";
  readonly description: string | null;
  /** Null: it fires once, at `nextAt`. */
  readonly cron: string | null;
  readonly zone: string;
  readonly policy: Required<SchedulePolicy>;
  /** Who is asked `text`; null: `text` itself is what the owner is told. Of code both are null. */
  readonly agent: string | null;
  readonly text: string | null;
  readonly conversationId: string | null;
  /** Of who made it: its runs inherit it. */
  readonly label: Label;
  /** The nominal time that comes next. Null: it fires no more. */
  readonly nextAt: Date | null;
  /** When a clock looks at it next: with the jitter, or sooner, for what waits its turn. */
  readonly dueAt: Date | null;
  /** The nominal time of a tick that waits until the run before is finished. */
  readonly heldAt: Date | null;
  readonly lastAt: Date | null;
  readonly paused: boolean;
  /** Failed runs in a row. */
  readonly failures: number;
  readonly createdAt: Date;
}

const COLUMNS = `name, origin, description, cron, zone, policy, agent, text, conversation_id as "conversationId",
  json_build_object('integrity', integrity, 'privacy', privacy) as label, next_at as "nextAt", due_at as "dueAt", held_at as "heldAt",
  last_at as "lastAt", paused, failures, created_at as "createdAt"`;

/** At most `most` schedules whose name comes after `after`, by name. */
export async function listSchedules(
  database: Database,
  part: { after?: string | undefined; most?: number } = {},
): Promise<ScheduleRow[]> {
  return await database.query<ScheduleRow>(
    `select ${COLUMNS} from schedules where $1::text is null or name > $1 order by name limit $2`,
    [part.after ?? null, part.most ?? null],
  );
}

export async function findSchedule(database: Database, name: string): Promise<ScheduleRow | null> {
  const [row] = await database.query<ScheduleRow>(`select ${COLUMNS} from schedules where name = $1`, [name]);
  return row ?? null;
}

/** A schedule of code, as it is installed. */
export interface CodeSchedule extends Pick<ScheduleRow, "name" | "description" | "zone" | "policy"> {
  readonly cron: string;
  readonly nextAt: Date | null;
  readonly dueAt: Date | null;
}

/**
 * Writes what is installed, all in one statement: one whose cron or zone is as it was keeps its next time, and so its
 * missed ticks; one that is gone is forgotten. Done reminders are forgotten when they are older than `doneBefore`.
 */
export async function syncSchedules(
  database: Database,
  installed: readonly CodeSchedule[],
  doneBefore: Date,
): Promise<void> {
  const rows = installed
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map((one) => [
      ...[one.name, one.description, one.cron, one.zone, JSON.stringify(one.policy)],
      ...[one.nextAt, one.dueAt],
    ]);
  await database.transaction(async (inside) => {
    // A row that is met as a conflict is locked, and a clock beside passes it over: only what differs is written.
    await inside.query(
      `insert into schedules (name, origin, description, cron, zone, policy, next_at, due_at)
       select i.name, 'code', i.description, i.cron, i.zone, i.policy, i.next_at, i.due_at
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::timestamptz[])
         as i(name, description, cron, zone, policy, next_at, due_at)
       left join schedules s on s.name = i.name
       where s.name is null or (s.origin, s.cron, s.zone, s.policy, s.description)
         is distinct from ('code', i.cron, i.zone, i.policy, i.description)
       on conflict (name) do update set origin = 'code', description = excluded.description, cron = excluded.cron,
         zone = excluded.zone, policy = excluded.policy,
         next_at = case when (schedules.cron, schedules.zone) = (excluded.cron, excluded.zone)
           then schedules.next_at else excluded.next_at end,
         due_at = coalesce(schedules.held_at, case when (schedules.cron, schedules.zone) = (excluded.cron, excluded.zone)
           then schedules.next_at + (excluded.due_at - excluded.next_at) else excluded.due_at end)`,
      columns(rows, 7),
    );
    await inside.query("delete from schedules where origin = 'code' and name <> all($1)", [
      installed.map(({ name }) => name),
    ]);
    await inside.query("delete from schedules where cron is null and next_at is null and last_at < $1", [doneBefore]);
  });
}

/** What a person or an agent may say of a schedule. */
export type MadeSchedule = Omit<ScheduleRow, "heldAt" | "lastAt" | "paused" | "failures" | "createdAt">;

/** Adds a schedule. False: the name is taken. */
export async function addSchedule(database: Database, made: MadeSchedule): Promise<boolean> {
  const { label, name, origin, description, cron, zone, policy, agent, text, conversationId } = made;
  const rows = await database.query(
    `insert into schedules (name, origin, description, cron, zone, policy, agent, text, conversation_id, integrity, privacy, next_at, due_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (name) do nothing returning name`,
    [
      ...[name, origin, description, cron, zone, JSON.stringify(policy), agent, text, conversationId],
      ...[label.integrity, label.privacy, made.nextAt, made.dueAt],
    ],
  );
  return rows.length > 0;
}

/** Writes what may be changed of a schedule that a person or an agent made. */
export async function changeSchedule(database: Database, made: MadeSchedule): Promise<void> {
  const { name, description, cron, zone, policy, agent, text } = made;
  await database.query(
    `update schedules set description = $2, cron = $3, zone = $4, policy = $5, agent = $6, text = $7, next_at = $8,
       due_at = coalesce(held_at, $9) where name = $1`,
    [name, description, cron, zone, JSON.stringify(policy), agent, text, made.nextAt, made.dueAt],
  );
}

export async function removeSchedule(database: Database, name: string): Promise<void> {
  await database.query("delete from schedules where name = $1", [name]);
}

/** How many schedules of this origin still fire. */
export async function countSchedules(database: Database, origin: ScheduleRow["origin"]): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    "select count(*) as count from schedules where origin = $1 and next_at is not null",
    [origin],
  );
  return row!.count;
}

/** Pauses or resumes; a resumed one goes on at `nextAt`, or with the tick that waits. */
export async function pauseSchedule(
  database: Database,
  name: string,
  change: { paused: boolean; nextAt: Date | null; dueAt: Date | null },
): Promise<void> {
  await database.query(
    "update schedules set paused = $2, next_at = $3, due_at = coalesce(held_at, $4) where name = $1",
    [name, change.paused, change.nextAt, change.dueAt],
  );
}

/** Due schedules, held until the transaction ends: two clocks never hold the same one. */
export async function holdDueSchedules(inside: Database, now: Date, most: number): Promise<ScheduleRow[]> {
  return await inside.query<ScheduleRow>(
    `select ${COLUMNS} from schedules where not paused and due_at <= $1 order by due_at limit $2 for update skip locked`,
    [now, most],
    "hold-due-schedules",
  );
}

/** What a tick made of a schedule. */
export interface ScheduleMove {
  readonly name: string;
  /** The nominal time that fired, or was passed over, last; null: as it was. */
  readonly lastAt: Date | null;
  readonly nextAt: Date | null;
  readonly dueAt: Date | null;
  readonly heldAt: Date | null;
  /** Runs that it started. */
  readonly runIds: readonly string[];
}

export async function moveSchedules(inside: Database, moves: readonly ScheduleMove[]): Promise<void> {
  const rows = moves.map(({ name, lastAt, nextAt, dueAt, heldAt, runIds }) => [
    ...[name, lastAt, nextAt, dueAt, heldAt, `{${runIds.join(",")}}`],
  ]);
  await inside.query(
    `update schedules s set last_at = coalesce(i.last_at, s.last_at), next_at = i.next_at, due_at = i.due_at,
       held_at = i.held_at, watched = s.watched || i.runs::text[]
     from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[])
       as i(name, last_at, next_at, due_at, held_at, runs)
     where s.name = i.name`,
    columns(rows, 6),
    "move-schedules",
  );
}

/** A run of a schedule that has ended and was not counted yet. */
export interface EndedRun {
  readonly name: string;
  readonly policy: Required<SchedulePolicy>;
  readonly failures: number;
  readonly alarmed: boolean;
  readonly conversationId: string | null;
  readonly runId: string;
  readonly status: RunStatus;
  readonly error: Failure | null;
  readonly label: Label;
  /** Nominal. */
  readonly time: Date;
  readonly zone: string;
}

/** Ended runs of at most `most` schedules, in the order of their ends, with their schedules held until the transaction ends. */
export async function holdEndedRuns(inside: Database, most: number): Promise<EndedRun[]> {
  // Held first and read afterwards: what another process counted meanwhile is not counted again.
  const held = await inside.query<{ name: string }>(
    `select name from schedules s where watched <> '{}' and exists (select from unnest(s.watched) as w(id)
       join runs on runs.id = w.id where status in ('completed', 'failed', 'canceled'))
     limit $1 for update skip locked`,
    [most],
    "hold-ended-schedules",
  );
  if (held.length === 0) return [];
  return await inside.query<EndedRun>(
    `select s.name, s.policy, s.failures, s.alarmed, s.conversation_id as "conversationId", s.zone, r.id as "runId", r.status, r.error,
       json_build_object('integrity', r.integrity, 'privacy', r.privacy) as label, e.time
     from schedules s cross join lateral unnest(s.watched) as w(id) join runs r on r.id = w.id join events e on e.id = r.event_id
     where s.name = any($1) and r.status in ('completed', 'failed', 'canceled') order by r.finished_at, r.id`,
    [held.map(({ name }) => name)],
    "ended-runs",
  );
}

/** Lets the end of these runs be counted. */
export async function watchRuns(inside: Database, name: string, runIds: readonly string[]): Promise<void> {
  await inside.query("update schedules set watched = watched || $2::text[] where name = $1", [name, runIds]);
}

/** Writes what the ends of these runs came to. */
export async function settleSchedules(
  inside: Database,
  settled: readonly { name: string; failures: number; alarmed: boolean }[],
  runIds: readonly string[],
): Promise<void> {
  const rows = settled.map(({ name, failures, alarmed }) => [name, failures, String(alarmed)]);
  await inside.query(
    `update schedules s set failures = i.failures, alarmed = i.alarmed,
       watched = array(select w from unnest(s.watched) as w where w <> all($4::text[]))
     from unnest($1::text[], $2::integer[], $3::boolean[]) as i(name, failures, alarmed) where s.name = i.name`,
    [...columns(rows, 3), runIds],
    "settle-schedules",
  );
}

/** The runs of schedules' handlers that are not finished, by handler. */
export async function unfinishedRuns(database: Database, handlers: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await database.query<{ handler: string; ids: string[] }>(
    `select h.handler, array_agg(r.id) as ids from unnest($1::text[]) as h(handler)
     cross join lateral (select id from runs where runs.handler = h.handler and runs.handler like 'schedule:%'
       and status in ('queued', 'running', 'waiting') limit 100) r group by h.handler`,
    [handlers],
    "unfinished-runs",
  );
  return new Map(rows.map(({ handler, ids }) => [handler, ids]));
}
