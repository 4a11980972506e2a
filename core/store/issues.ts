import { fingerprintOf } from "../base/fingerprint.ts";
import { newId } from "../base/ids.ts";
import type { Failure } from "../define/run.ts";
import type { Database } from "./database.ts";
import { columns, toJsonOrNull } from "./encode.ts";
import { type EventRow, type RawEvent, toEventRow } from "./events.ts";

export type IssueKind = "failure" | "silence" | "shape";

/** A cause, and how often it was met now. */
export interface Cause {
  readonly kind: IssueKind;
  /** A handler, `channel:<name>`, a source, or a source and a type. */
  readonly about: string;
  /** What tells it from other causes that are about the same. */
  readonly fingerprint: string;
  readonly title: string;
  readonly detail?: unknown;
  readonly count: number;
  /** Default: now, as the database has it. */
  readonly at?: Date;
}

/**
 * Opens an issue for each cause that has none, opens those again that are closed, and counts on those that are open.
 * Returns their ids in the order of the causes, of which no two may be the same.
 */
export async function openIssues(inside: Database, causes: readonly Cause[]): Promise<string[]> {
  const keyOf = (cause: Pick<Cause, "about" | "fingerprint">) => `${cause.about}\n${cause.fingerprint}`;
  // In one order always, so that two who open the same ones wait for each other, and not in a circle.
  const sorted = [...causes].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  const rows = sorted.map(({ kind, about, fingerprint, title, detail, count, at }) => [
    ...[newId("iss"), kind, about, fingerprint, title, toJsonOrNull(detail), count, at ?? null],
  ]);
  const opened = await inside.query<{ id: string; about: string; fingerprint: string }>(
    `insert into issues as i (id, kind, about, fingerprint, title, detail, count, first_at, last_at, opened_at)
     select n.id, n.kind, n.about, n.fingerprint, n.title, n.detail, n.count, n.at, n.at, n.at
     from (select id, kind, about, fingerprint, title, detail, count, coalesce(at, now()) as at
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::integer[], $8::timestamptz[])
             as u(id, kind, about, fingerprint, title, detail, count, at)) n
     on conflict (kind, about, fingerprint) do update set
       title = excluded.title, detail = excluded.detail, count = i.count + excluded.count, last_at = excluded.last_at, status = 'open',
       openings = i.openings + (i.status = 'closed')::integer,
       opened_at = case i.status when 'closed' then excluded.opened_at else i.opened_at end,
       told_at = case i.status when 'closed' then null else i.told_at end
     returning id, about, fingerprint`,
    columns(rows, 8),
  );
  const ids = new Map(opened.map((row) => [keyOf(row), row.id]));
  return causes.map((cause) => ids.get(keyOf(cause))!);
}

/** Files runs that failed for good under their issues, within the transaction that ends them. */
export async function fileFailedRuns(
  inside: Database,
  failed: readonly { readonly id: string; readonly error: Failure }[],
): Promise<void> {
  if (failed.length === 0) return;
  const rows = await inside.query<{ id: string; handler: string }>("select id, handler from runs where id = any($1)", [
    failed.map((run) => run.id),
  ]);
  const handlerOf = new Map(rows.map((row) => [row.id, row.handler]));
  const filed = failed.map(({ id, error }) => ({ id, about: handlerOf.get(id)!, ...fingerprintOf(error) }));
  const same = [...Map.groupBy(filed, (run) => `${run.about}\n${run.fingerprint}`).values()];
  const issues = await openIssues(
    inside,
    same.map((runs) => ({ ...runs[0]!, kind: "failure", count: runs.length })),
  );
  const pairs = same.flatMap((runs, place) => runs.map((run) => [run.id, issues[place]]));
  await inside.query(
    "update runs set issue_id = f.issue_id from unnest($1::text[], $2::text[]) as f(id, issue_id) where runs.id = f.id",
    columns(pairs, 2),
  );
}

/**
 * Closes issues of failures of which every run was put right: retried, or its event replayed, to completion; one that was
 * canceled is not asked for. One that fails in this moment makes the count another, and its issue stays. A run that is not
 * put right is kept with the issue, so that the next look begins with it. Returns the ids of those closed.
 */
export async function closeSettled(database: Database, now: Date): Promise<string[]> {
  const rows = await database.query<{ id: string; status: string }>(
    `with looked as materialized (
       select id, count, unsettled as before, unsettled_run(id, unsettled) as unsettled
       from issues i where status = 'open' and kind = 'failure' and about not like 'channel:%'
     ), free as (
       select i.id, l.unsettled from issues i join looked l on l.id = i.id and l.count = i.count
       where i.status = 'open' and (l.unsettled is null or l.unsettled is distinct from l.before) for update of i skip locked
     )
     update issues i set unsettled = f.unsettled, status = case when f.unsettled is null then 'closed' else 'open' end,
       closed_at = case when f.unsettled is null then $1 else closed_at end,
       closed_by = case when f.unsettled is not null then closed_by end
     from free f where i.id = f.id returning i.id, i.status`,
    [now],
    "close-settled",
  );
  return rows.filter((row) => row.status === "closed").map((row) => row.id);
}

/** Closes open issues; `by` is null when one closes by itself. Returns the ids of those that were open. */
export async function closeIssues(
  database: Database,
  which: { ids: readonly string[]; by: string | null },
  now: Date,
): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    "update issues set status = 'closed', closed_at = $2, closed_by = $3 where id = any($1) and status = 'open' returning id",
    [which.ids, now, which.by],
  );
  return rows.map((row) => row.id);
}

/** An issue as whoever looks after it sees it. */
export interface IssueRow {
  readonly id: string;
  readonly kind: IssueKind;
  readonly about: string;
  readonly title: string;
  readonly detail: unknown;
  readonly status: "open" | "closed";
  readonly openings: number;
  readonly openedAt: Date;
  /** When it was last closed, also while it is open again. */
  readonly closedAt: Date | null;
}

const ISSUE = `id, kind, about, title, detail, status, openings, opened_at as "openedAt", closed_at as "closedAt"`;

export async function findIssue(database: Database, id: string): Promise<IssueRow | null> {
  const [row] = await database.query<IssueRow>(`select ${ISSUE} from issues where id = $1`, [id]);
  return row ?? null;
}

/** The open issues of a kind, all of them or those about these. */
export async function openIssuesOf(
  database: Database,
  kind: IssueKind,
  about: readonly string[] | null = null,
): Promise<IssueRow[]> {
  return await database.query<IssueRow>(
    `select ${ISSUE} from issues where kind = $1 and status = 'open' and ($2::text[] is null or about = any($2))`,
    [kind, about],
  );
}

/** Gives an issue the words of today. */
export async function renameIssue(database: Database, id: string, title: string): Promise<void> {
  await database.query("update issues set title = $2 where id = $1 and title <> $2", [id, title]);
}

/** Issues that are open and of which the owner has not been told; they count as told when the transaction ends. */
export async function takeUntold(inside: Database, now: Date): Promise<IssueRow[]> {
  return await inside.query<IssueRow>(
    `update issues set told_at = $1
     where id in (select id from issues where status = 'open' and told_at is null for update skip locked) returning ${ISSUE}`,
    [now],
  );
}

/** Says what is set up now; what was not yet, or is not `ready` to be heard from, counts from now on. Returns since when. */
export async function keepWatches(
  database: Database,
  watches: readonly { readonly about: string; readonly ready: boolean }[],
  now: Date,
): Promise<Map<string, Date>> {
  await database.query("delete from watches where about <> all($1)", [watches.map((watch) => watch.about)]);
  await database.query(
    `insert into watches as w (about, since) select about, $3 from unnest($1::text[], $2::boolean[]) as u(about, ready)
     on conflict (about) do update set since = $3
     where w.since < $3::timestamptz - interval '1 minute' and w.about = any(select about from unnest($1::text[], $2::boolean[]) as u(about, ready) where not ready)`,
    [watches.map((watch) => watch.about), watches.map((watch) => watch.ready), now],
  );
  const rows = await database.query<{ about: string; since: Date }>("select about, since from watches");
  return new Map(rows.map((row) => [row.about, row.since]));
}

/** Lets the silence of one count from now on. */
export async function restartWatch(database: Database, about: string, now: Date): Promise<void> {
  await database.query("update watches set since = $2 where about = $1", [about, now]);
}

/** The last event of each of these sources: its time in the order of the sources, null for none. Walks the index, type by type. */
export async function lastArrivals(database: Database, sources: readonly string[]): Promise<(Date | null)[]> {
  const rows = await database.query<{ at: Date | null }>(
    `select (select e.received_at from events e where e.id = (
       with recursive kinds as (
         (select type from events where source = s.name order by type limit 1)
         union all
         select (select e.type from events e where e.source = s.name and e.type > k.type order by e.type limit 1) from kinds k where k.type is not null
       )
       select max((select e.id from events e where e.source = s.name and e.type = k.type order by e.id desc limit 1))
       from kinds k where k.type is not null)) as at
     from unnest($1::text[]) with ordinality as s(name, place) order by place`,
    [sources],
    "last-arrivals",
  );
  return rows.map((row) => row.at);
}

/** When a run of this schedule last completed, or null. */
export async function lastCompletion(database: Database, schedule: string): Promise<Date | null> {
  const [row] = await database.query<{ at: Date }>(
    `select r.finished_at as at from events e join runs r on r.event_id = e.id and r.status = 'completed'
     where e.source = 'schedule' and e.type = $1 order by e.id desc limit 1`,
    [schedule],
  );
  return row?.at ?? null;
}

const LOOKED = "issues.looked";

/**
 * The newest events of these sources that were not looked at before, oldest first, at most `most`, none larger than
 * `mostBytes`; the rest is passed over. Holds the place until the transaction ends; null: another holds it.
 * The first look of all finds nothing, and begins there.
 */
export async function takeUnseen(
  inside: Database,
  sources: readonly string[],
  bounds: { most: number; mostBytes: number },
): Promise<EventRow[] | null> {
  await inside.query(
    `insert into switches (name, value) select $1, to_jsonb(coalesce((select max(id) from events), ''))
     on conflict (name) do nothing`,
    [LOOKED],
  );
  const [place] = await inside.query<{ value: string; newest: string | null }>(
    "select value, (select max(id) from events) as newest from switches where name = $1 for update skip locked",
    [LOOKED],
  );
  if (!place) return null;
  if (!place.newest || place.newest <= place.value) return [];
  await inside.query("update switches set value = to_jsonb($2::text), changed_at = now() where name = $1", [
    LOOKED,
    place.newest,
  ]);
  const rows = await inside.query<RawEvent>(
    `select id, source, type, key, time, data, problem, integrity, privacy, case when data is null then body end as body from events
     where id > $1 and id <= $2 and source = any($3) and problem is null
       and coalesce(octet_length(body), pg_column_size(data), 0) <= $4
     order by id desc limit $5`,
    [place.value, place.newest, sources, bounds.mostBytes, bounds.most],
  );
  return rows.reverse().map(toEventRow);
}

/** What is known of the payloads of a source and type. */
export interface ShapeRow {
  readonly source: string;
  readonly type: string;
  readonly seen: number;
  readonly paths: unknown;
  /** An event that looked like it. */
  readonly eventId: string;
}

/** Held until the transaction ends; null when nothing is known. */
export async function holdShape(inside: Database, source: string, type: string): Promise<ShapeRow | null> {
  const [row] = await inside.query<ShapeRow>(
    `select source, type, seen, paths, event_id as "eventId" from shapes where source = $1 and type = $2 for update`,
    [source, type],
  );
  return row ?? null;
}

export async function putShape(inside: Database, shape: ShapeRow): Promise<void> {
  await inside.query(
    `insert into shapes (source, type, seen, paths, event_id) values ($1, $2, $3, $4, $5)
     on conflict (source, type) do update set seen = $3, paths = $4, event_id = $5`,
    [shape.source, shape.type, shape.seen, toJsonOrNull(shape.paths), shape.eventId],
  );
}
