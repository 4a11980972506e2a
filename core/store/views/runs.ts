import type { Failure, Run, Step } from "../../define/run.ts";
import type { Database } from "../database.ts";
import { type Page, type PageQuery, toPage } from "./page.ts";

/** A run as the console and the CLI see it. */
export type RunView = Omit<Run, "version" | "priority" | "key">;
/** A step as the console and the CLI see it. */
export type StepView = Omit<Step, "runId">;

export interface ApprovalView {
  readonly id: string;
  readonly runId: string;
  readonly title: string;
  readonly action: { readonly tool: string; readonly input: unknown };
  readonly status: "waiting" | "approved" | "denied" | "expired";
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly answeredAt: Date | null;
}

export interface MessageView {
  readonly id: string;
  readonly direction: "in" | "out";
  readonly author: string;
  readonly text: string;
  readonly state: string;
  readonly runId: string | null;
  readonly createdAt: Date;
  readonly detail: unknown;
}

/** A run with all that belongs to it. */
export interface RunDetail extends RunView {
  readonly steps: readonly StepView[];
  readonly event: { readonly id: string; readonly source: string; readonly type: string } | null;
  readonly approvals: readonly ApprovalView[];
  readonly messages: readonly MessageView[];
}

/** A label's two columns as one value. */
export const LABEL = "json_build_object('integrity', integrity, 'privacy', privacy) as label";

const RUN = `id, event_id as "eventId", parent_id as "parentId", handler, status, attempts, max_attempts as "maxAttempts",
  ${LABEL}, limits, usd, waiting, error, result, created_at as "createdAt", started_at as "startedAt",
  finished_at as "finishedAt", wake_at as "wakeAt"`;

const STEP = `run_id as "runId", key, kind, status, value, error, attempt, ${LABEL}, detail, usd,
  started_at as "startedAt", finished_at as "finishedAt"`;

const MESSAGE = `id, direction, author, text, state, run_id as "runId", created_at as "createdAt", detail`;

const APPROVAL = (now: string) => `id, run_id as "runId", title, action,
  case when status = 'waiting' and expires_at <= ${now} then 'expired' else status end as status,
  expires_at as "expiresAt", created_at as "createdAt", answered_at as "answeredAt"`;

/** Runs, newest first. */
export async function listRuns(
  database: Database,
  query: PageQuery & {
    status?: string | undefined;
    handler?: string | undefined;
    event?: string | undefined;
  },
): Promise<Page<RunView>> {
  const rows = await database.query<RunView>(
    `select ${RUN} from runs
     where ($1::text is null or id < $1) and ($2::text is null or status = $2)
       and ($3::text is null or handler = $3) and ($4::text is null or event_id = $4)
     order by id desc limit $5`,
    [query.cursor, query.status, query.handler, query.event, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** One run with its steps in the order they began, its event, approvals and messages; or null. */
export async function findRunDetail(database: Database, id: string, now: Date): Promise<RunDetail | null> {
  const [run] = await runsWithSteps(database, "id = $1", id);
  if (!run) return null;
  const [[event], approvals, messages] = await Promise.all([
    database.query<NonNullable<RunDetail["event"]>>("select id, source, type from events where id = $1", [
      run.eventId,
    ]),
    database.query<ApprovalView>(`select ${APPROVAL("$2")} from approvals where run_id = $1 order by id`, [
      id,
      now,
    ]),
    database.query<MessageView>(`select ${MESSAGE} from messages where run_id = $1 order by id`, [id]),
  ]);
  return { ...run, event: event ?? null, approvals, messages };
}

/** The runs of an event with their steps, oldest first, at most 100. */
export async function runsOfEvent(
  database: Database,
  eventId: string,
): Promise<(RunView & { steps: StepView[] })[]> {
  return await runsWithSteps(database, "event_id = $1", eventId);
}

async function runsWithSteps(database: Database, where: string, value: string) {
  const runs = await database.query<RunView>(`select ${RUN} from runs where ${where} order by id limit 100`, [
    value,
  ]);
  const steps = await database.query<Step>(
    `select ${STEP} from steps where run_id = any($1) order by started_at, finished_at, key`,
    [runs.map((run) => run.id)],
  );
  return runs.map((run) => ({
    ...run,
    steps: steps.filter((step) => step.runId === run.id).map(({ runId: _, ...step }): StepView => step),
  }));
}

/** How a run that somebody waits for stands: its outcome, what it said, and which approvals it waits for. */
export interface RunState {
  readonly status: Run["status"];
  readonly usd: number;
  readonly error: Failure | null;
  readonly result: unknown;
  readonly text: string | null;
  readonly approvals: readonly { readonly id: string; readonly title: string }[];
}

/** The state of one run, or null; cheap enough to be asked twice a second. */
export async function findRunState(database: Database, id: string): Promise<RunState | null> {
  const [row] = await database.query<RunState>(
    `select status, usd, error, result,
       (select text from messages m where m.run_id = r.id and direction = 'out' order by m.id desc limit 1) as text,
       (select coalesce(json_agg(json_build_object('id', a.id, 'title', a.title) order by a.id), '[]')
        from approvals a where a.run_id = r.id and a.status = 'waiting') as approvals
     from runs r where id = $1`,
    [id],
    "find-run-state",
  );
  return row ?? null;
}

/** Approvals, newest first. One that was not answered in time is `expired`, whether or not its run has noticed. */
export async function listApprovals(
  database: Database,
  query: PageQuery & { status?: string | undefined },
  now: Date,
): Promise<Page<ApprovalView>> {
  const rows = await database.query<ApprovalView>(
    `select * from (select ${APPROVAL("$1")} from approvals) a
     where ($2::text is null or id < $2) and ($3::text is null or status = $3) order by id desc limit $4`,
    [now, query.cursor, query.status, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** One approval, or null. */
export async function findApproval(database: Database, id: string, now: Date): Promise<ApprovalView | null> {
  const [row] = await database.query<ApprovalView>(`select ${APPROVAL("$2")} from approvals where id = $1`, [
    id,
    now,
  ]);
  return row ?? null;
}

export interface ConversationView {
  readonly id: string;
  readonly channel: string;
  readonly title: string | null;
  readonly updatedAt: Date;
}

/** Conversations, the one that was last spoken in first. */
export async function listConversations(
  database: Database,
  query: PageQuery,
): Promise<Page<ConversationView>> {
  const rows = await database.query<ConversationView>(
    `select id, channel, title, updated_at as "updatedAt" from conversations
     where $1::text is null or (updated_at, id) < (select updated_at, id from conversations where id = $1)
     order by conversations.updated_at desc, id desc limit $2`,
    [query.cursor, query.limit + 1],
  );
  return toPage(rows, query.limit);
}

/** The messages of a conversation, newest first; null when there is no such conversation. */
export async function listMessages(
  database: Database,
  conversation: string,
  query: PageQuery,
): Promise<Page<MessageView> | null> {
  const known = await database.query("select from conversations where id = $1", [conversation]);
  if (known.length === 0) return null;
  const rows = await database.query<MessageView>(
    `select ${MESSAGE} from messages where conversation_id = $1 and ($2::text is null or id < $2)
     order by id desc limit $3`,
    [conversation, query.cursor, query.limit + 1],
  );
  return toPage(rows, query.limit);
}
