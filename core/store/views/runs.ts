import type { Failure, RunStatus, Waiting } from "../../define/run.ts";
import type { Database } from "../database.ts";
import { ofEvent, type RunFilter, runCondition } from "../filters.ts";
import { PROGRESS, type Progress, readOutcomes } from "../repairs.ts";
import { LABEL, type Page, type PageQuery, type Row, toPage } from "./page.ts";
import { APPROVAL, MESSAGE } from "./talk.ts";

/** A run's columns. */
export const RUN = `id, event_id as "eventId", parent_id as "parentId", issue_id as "issueId", handler, status, attempts, max_attempts as "maxAttempts",
  ${LABEL}, limits, usd, waiting, error, result, created_at as "createdAt", started_at as "startedAt",
  finished_at as "finishedAt", wake_at as "wakeAt", ${PROGRESS} as progress`;

const STEP = `run_id as "runId", key, kind, status, value, error, attempt, ${LABEL}, detail, usd,
  started_at as "startedAt", finished_at as "finishedAt"`;

/** Runs, newest first. */
export async function listRuns(database: Database, query: RunFilter & PageQuery): Promise<Page> {
  const values: unknown[] = [query.cursor ?? null, query.limit + 1];
  const rows = await database.query<Row>(
    `select ${RUN} from runs r where ($1::text is null or r.id < $1) and ${runCondition(query, values)}
     order by r.id desc limit $2`,
    values,
  );
  return toPage(rows, query.limit);
}

/** One run with its steps in the order they began, its events (oldest first), approvals and messages; or null. */
export async function findRunDetail(database: Database, id: string, now: Date): Promise<Row | null> {
  const [run] = await runsWithSteps(database, "id = $1", id);
  if (!run) return null;
  const progress = run.progress as Progress | null;
  const [events, approvals, messages, outcomes] = await Promise.all([
    database.query<Row>(
      `select id, source, type, received_at as "receivedAt" from events
       where id = any(array(select event_id from bursts where run_id = $2) || $1::text) order by id`,
      [run.eventId, id],
    ),
    database.query<Row>(`select ${APPROVAL("$2")} from approvals where run_id = $1 order by id`, [id, now]),
    database.query<Row>(`select ${MESSAGE} from messages where run_id = $1 order by id`, [id]),
    progress && readOutcomes(database, id),
  ]);
  return {
    ...run,
    progress: progress && { ...progress, runs: outcomes },
    event: events.at(-1) ?? null,
    events,
    approvals,
    messages,
  };
}

/** The first hundred runs of an event with their steps. */
export async function runsOfEvent(database: Database, eventId: string): Promise<Row[]> {
  return await runsWithSteps(database, ofEvent("$1"), eventId);
}

async function runsWithSteps(database: Database, where: string, value: string): Promise<Row[]> {
  const runs = await database.query<Row>(`select ${RUN} from runs r where ${where} order by id limit 100`, [value]);
  const steps = await database.query<{ runId: string }>(
    `select ${STEP} from steps where run_id = any($1) order by started_at, finished_at, key`,
    [runs.map((run) => run.id)],
  );
  const stepsOf = Map.groupBy(steps, (step) => step.runId);
  return runs.map((run) => ({ ...run, steps: (stepsOf.get(run.id) ?? []).map(({ runId: _, ...step }) => step) }));
}

/** How a run that somebody waits for stands: its outcome, what it said, and which approvals it waits for. */
export interface RunState {
  readonly status: RunStatus;
  readonly usd: number;
  readonly error: Failure | null;
  readonly result: unknown;
  readonly text: string | null;
  readonly waiting: Waiting | null;
  readonly wakeAt: Date | null;
  readonly approvals: readonly { readonly id: string; readonly title: string }[];
}

/** The state of one run, or null; cheap enough to be asked twice a second. */
export async function findRunState(database: Database, id: string): Promise<RunState | null> {
  const [row] = await database.query<RunState>(
    `select status, usd, error, result, waiting, wake_at as "wakeAt",
       (select text from messages m where m.run_id = r.id and direction = 'out' order by m.id desc limit 1) as text,
       (select coalesce(json_agg(json_build_object('id', a.id, 'title', a.title) order by a.id), '[]')
        from approvals a where a.run_id = r.id and a.status = 'waiting') as approvals
     from runs r where id = $1`,
    [id],
    "find-run-state",
  );
  return row ?? null;
}
