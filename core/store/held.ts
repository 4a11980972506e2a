/** What holds a run back before it begins: a burst that is gathered, a pause, a rate. One after the other. */
import type { Database } from "./database.ts";

/** Two that pause or resume take turns, so that a run which is held by two things is never left without one of them. */
const LOCK = 7_240_424_203;

/** Of these names those that are paused. They stay so until the transaction ends: whoever resumes waits for it. */
export const holdPauses = (names: string) => `array(select name from pauses where name = any(${names}) for key share)`;

/** A run that may have to wait for its turn. */
interface Fresh {
  readonly id: string;
  readonly rate: string;
}

/** Lets runs begin whose turn it is, and tells the others when theirs will be; in the transaction that made them wait. */
export async function giveTurns(inside: Database, runs: readonly Fresh[]): Promise<void> {
  if (runs.length === 0) return;
  const values = [runs.map((run) => run.rate), runs.map((run) => run.id)];
  await inside.query("select give_turns($1, $2)", values, "give-turns");
}

/**
 * Lets go of what is held and due: bursts that are gathered (by `now`), and the next turns of rates (by the database's
 * clock, which they are counted by). Returns when the next waiting run of any kind is due.
 */
export async function releaseHeld(database: Database, now: Date): Promise<Date | null> {
  const { bursts, rates, next } = await findDue(database, now);
  if (bursts) await database.transaction((inside) => closeBursts(inside, now));
  if (rates.length > 0) await database.query("select give_turns($1, '{}')", [rates], "next-turns");
  // A turn that did not come yet was told another time.
  return bursts || rates.length > 0 ? (await findDue(database, now)).next : next;
}

async function findDue(
  database: Database,
  now: Date,
): Promise<{ bursts: boolean; rates: string[]; next: Date | null }> {
  const [due] = await database.query<Awaited<ReturnType<typeof findDue>>>(
    `select exists (select from runs where status = 'waiting' and wake_at <= $1 and burst is not null) as bursts,
       array(select distinct rate from runs where status = 'waiting' and wake_at <= now() and started_at is null
         and rate is not null and burst is null) as rates,
       (select min(wake_at) from runs where status = 'waiting' and wake_at > $1) as next`,
    [now],
    "held-due",
  );
  return due!;
}

/** Of a run that is let go of by one thing: the next that holds it, or else it is queued. */
const LET_GO = "status = case when l.by is null then 'queued' else 'waiting' end, waiting = l.by, wake_at = null";
const RATED = "returning r.id, case when r.waiting ->> 'kind' = 'rate' then r.rate end as rate";

async function closeBursts(inside: Database, now: Date): Promise<void> {
  // A row that is free is looked at again: an event that has just joined the burst has moved its time. One that is being
  // joined is left to the next look, so that the two never wait for each other.
  const closed = await inside.query<{ id: string; rate: string | null }>(
    `with due as (
       select r.id, r.handler, e.source, r.rate_limit, r.rate_ms from runs r join events e on e.id = r.event_id
       where r.status = 'waiting' and r.wake_at <= $1 and r.burst is not null order by r.id for update of r skip locked
     ), held as (
       select ${holdPauses("array(select handler from due union select 'source:' || source from due)")} as paused
     ), let_go as (
       select id, held_by(paused, handler, source, rate_limit, rate_ms) as by from due, held
     )
     update runs r set burst = null, ${LET_GO} from let_go l where r.id = l.id ${RATED}`,
    [now],
    "close-bursts",
  );
  await giveTurns(inside, closed.filter(isRated));
}

const isRated = (run: { id: string; rate: string | null }): run is Fresh => run.rate !== null;

/** Something that begins no run until it is resumed: `trigger:capability/name` or `source:name`. */
export interface Pause {
  readonly name: string;
  readonly since: Date;
}

/** The names of all that is paused. */
export async function pausedNames(database: Database): Promise<string[]> {
  return (await database.query<{ name: string }>("select name from pauses")).map((row) => row.name);
}

/**
 * Holds back all runs of a trigger or a source that have not begun, those that are queued and those to come. A run whose
 * event is being kept in this very moment may still begin.
 */
export async function pause(database: Database, name: string): Promise<void> {
  await database.transaction(async (inside) => {
    await inside.query("select pg_advisory_xact_lock($1)", [LOCK]);
    await inside.query("insert into pauses (name) values ($1) on conflict do nothing", [name]);
    await inside.query(
      `update runs r set status = 'waiting', wake_at = null, waiting = jsonb_build_object('kind', 'paused', 'name', $1::text)
       from (select r.id from runs r join events e on e.id = r.event_id
             where r.started_at is null and $1 in (r.handler, 'source:' || e.source)
               and (r.status = 'queued' and r.key is null or r.status = 'queued' and r.key is not null
                 or r.status = 'waiting' and r.started_at is null and r.waiting ->> 'kind' = 'rate')
             order by r.id for update of r) l
       where r.id = l.id`,
      [name],
    );
  });
}

/**
 * Lets a trigger or a source begin runs again, those that it held back first, in the order in which they came. Returns
 * how many they were. Nobody can be left behind: a statement that has seen the pause holds its row until it commits, so
 * that the pause goes only after it; one that comes later waits until this is committed, and sees no pause any more.
 */
export async function resume(database: Database, name: string): Promise<number> {
  return await database.transaction(async (inside) => {
    await inside.query("select pg_advisory_xact_lock($1)", [LOCK]);
    // Most are let go of before others have to wait for the row.
    const first = await letGo(inside, name);
    await inside.query("delete from pauses where name = $1", [name]);
    return first + (await letGo(inside, name));
  });
}

async function letGo(inside: Database, name: string): Promise<number> {
  const runs = await inside.query<{ id: string; rate: string | null }>(
    `update runs r set ${LET_GO}
     from (select r.id, held_by(array(select name from pauses where name <> $1), r.handler, e.source, r.rate_limit, r.rate_ms) as by
           from runs r join events e on e.id = r.event_id
           where r.status = 'waiting' and r.started_at is null and r.waiting ->> 'kind' = 'paused' and r.waiting ->> 'name' = $1
           order by r.id for update of r) l
     where r.id = l.id ${RATED}`,
    [name],
  );
  await giveTurns(inside, runs.filter(isRated));
  return runs.length;
}

/** What is paused, and how many runs each trigger and source holds back by what. */
export async function readHeld(
  database: Database,
): Promise<{ pauses: Pause[]; waiting: { handler: string; source: string; kind: string; count: number }[] }> {
  const [pauses, waiting] = await Promise.all([
    database.query<Pause>("select name, since from pauses order by name"),
    database.query<{ handler: string; source: string; kind: string; count: number }>(
      `select r.handler, e.source, r.waiting ->> 'kind' as kind, count(*) as count
       from runs r join events e on e.id = r.event_id
       where r.status = 'waiting' and r.started_at is null group by 1, 2, 3`,
    ),
  ]);
  return { pauses, waiting };
}
