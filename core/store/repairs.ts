/** Replays of many events and retries of many runs: what is to be done, and how far it is. */
import type { RunStatus } from "../define/run.ts";
import type { Database } from "./database.ts";
import { type EventFilter, eventCondition, type RunFilter, runCondition, stands } from "./filters.ts";
import { RETRIABLE } from "./runs.ts";

/** How many events are looked through at a time for a text. */
export const SEARCHED = 5000;

/** A part of the events, newest first: the id of its last one when more come after it, and how many it holds. */
export interface SearchPart {
  readonly end: string | null;
  readonly events: number;
}

/** The next part that a search by text looks through, below `cursor`; what can be had from an index narrows it. */
export async function nextPart(database: Database, filter: EventFilter, cursor?: string | null): Promise<SearchPart> {
  const values: unknown[] = [SEARCHED, cursor ?? null];
  const condition = eventCondition({ ...filter, q: undefined }, values);
  const [row] = await database.query<{ end: string; events: number }>(
    `select min(id) as end, count(*) as events from (
       select e.id from events e where ($2::text is null or e.id < $2) and ${condition} order by e.id desc limit $1) p`,
    values,
  );
  return { end: row!.events < SEARCHED ? null : row!.end, events: row!.events };
}

/** How many events there are; with a text those of the next part, and `next` when there are more to look through. */
export async function countEvents(
  database: Database,
  filter: EventFilter,
  cursor?: string | null,
): Promise<{ count: number; next: string | null }> {
  const { end } = filter.q ? await nextPart(database, filter, cursor) : { end: null };
  const values: unknown[] = [cursor ?? null, end];
  const [row] = await database.query<{ count: number }>(
    `select count(*) as count from events e
     where ($1::text is null or e.id < $1) and ($2::text is null or e.id >= $2) and ${eventCondition(filter, values)}`,
    values,
  );
  return { count: row!.count, next: end };
}

/** How many runs a retry of many would queue: those that no later run of the same handler on the same event stands for. */
export async function countRuns(database: Database, filter: RunFilter): Promise<number> {
  const values: unknown[] = [];
  const [row] = await database.query<{ count: number }>(
    `select count(*) as count from runs r where ${runCondition(filter, values)} and ${RETRIABLE} and ${stands()}`,
    values,
  );
  return row!.count;
}

/** Notes the events of a filter for the replay `order`; those that are noted stay so. Returns where to go on, or null. */
export async function noteEvents(
  database: Database,
  order: string,
  filter: EventFilter,
  cursor: string | null,
): Promise<string | null> {
  const { end } = filter.q ? await nextPart(database, filter, cursor) : { end: null };
  const values: unknown[] = [order, cursor, end];
  await database.query(
    `insert into repairs (order_id, target_id) select $1, e.id from events e
     where ($2::text is null or e.id < $2) and ($3::text is null or e.id >= $3) and ${eventCondition(filter, values)}
     on conflict do nothing`,
    values,
  );
  return end;
}

/** Notes the runs of a filter for the retry `order`. */
export async function noteRuns(database: Database, order: string, filter: RunFilter): Promise<void> {
  const values: unknown[] = [order];
  await database.query(
    `insert into repairs (order_id, target_id) select $1, r.id from runs r
     where ${runCondition(filter, values)} and ${RETRIABLE} and ${stands()} on conflict do nothing`,
    values,
  );
}

/**
 * The next `most` targets, oldest first; none when the order was canceled. Holds the order's row to the end of the
 * transaction `inside`, so that two workers that both believe to carry it take turns.
 */
export async function nextTargets(inside: Database, order: string, most: number): Promise<string[]> {
  const [run] = await inside.query<{ cancel: boolean }>("select cancel from runs where id = $1 for update", [order]);
  if (!run || run.cancel) return [];
  const rows = await inside.query<{ id: string }>(
    "select target_id as id from repairs where order_id = $1 and run_ids is null order by target_id limit $2",
    [order, most],
  );
  return rows.map((row) => row.id);
}

/** What came of targets: by target the runs. */
export async function markTargets(
  inside: Database,
  order: string,
  came: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const rows = [...came].map(([target, runs]) => ({ target, runs }));
  await inside.query(
    `update repairs p set run_ids = c.runs from json_to_recordset($2) as c(target text, runs text[])
     where p.order_id = $1 and p.target_id = c.target`,
    [order, JSON.stringify(rows)],
  );
}

/** How far a replay or retry of many is. */
export interface Progress {
  /** Null until the set is found. */
  readonly total: number | null;
  readonly done: number;
  /** How the runs stand that came of it. */
  readonly runs: Readonly<Partial<Record<RunStatus, number>>>;
}

/** `{total, done}` of the order that the run `r` carries; null for another run. */
export const PROGRESS = `case when r.handler in ('daimon:replay', 'daimon:retry') then (
  select json_build_object('done', count(p.run_ids), 'total', case when exists (
    select from steps s where s.run_id = r.id and s.key = 'find' and s.status = 'completed') then count(*) end)
  from repairs p where p.order_id = r.id) end`;

/** How the runs stand that came of an order. */
export async function readOutcomes(database: Database, order: string): Promise<Progress["runs"]> {
  const rows = await database.query<{ status: RunStatus; count: number }>(
    `select r.status, count(distinct r.id) as count from repairs p cross join unnest(p.run_ids) as u(id) join runs r on r.id = u.id
     where p.order_id = $1 group by r.status`,
    [order],
  );
  return Object.fromEntries(rows.map((row) => [row.status, row.count]));
}

/** Links an event to the one that it replays with another payload, in the transaction that keeps it. */
export async function linkReplay(inside: Database, eventId: string, replayOf: string): Promise<void> {
  await inside.query("update events set replay_of = $2 where id = $1", [eventId, replayOf]);
}
