import type { Trigger } from "../../define/capability.ts";
import type { EventOutcome as Outcome } from "../../define/event.ts";
import type { Label } from "../../define/label.ts";
import type { Failure, Run as KeptRun, Step as KeptStep, RunStatus } from "../../define/run.ts";
import type { CallDetail, Models } from "../../models/models.ts";
import type { Forecast } from "../../schedules/schedules.ts";
import type { Approval as KeptApproval } from "../../store/approvals.ts";
import type { IssueRow } from "../../store/issues.ts";
import type { Conversation as KeptConversation, Message as KeptMessage } from "../../store/messages.ts";
import type { Progress as KeptProgress } from "../../store/repairs.ts";
import type { CapabilityView } from "../api/capabilities.ts";
import type { ScheduleView } from "../api/schedules.ts";
import { go } from "./router.ts";

export type { Failure, RunStatus } from "../../define/run.ts";
export type { Check, SampleDelivery as Delivery } from "../options.ts";
export type { Label, Outcome };

/** A value as JSON brings it: its times are ISO 8601 in UTC. */
type Wire<Value> = Value extends Date
  ? string
  : Value extends object
    ? { [Field in keyof Value]: Wire<Value[Field]> }
    : Value;

/** The API's shapes as docs/reference/api.md writes them: what the house keeps, and what the views add to it. */

export interface Page<Item> {
  readonly items: Item[];
  readonly next: string | null;
  /** How many events a search by text has looked through for a page that is not full. */
  readonly searched?: number;
}

export interface EventItem {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly receivedAt: string;
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly label: Label;
  readonly runs: { readonly total: number; readonly failed: number; readonly active: number };
}
export interface EventDetail extends Omit<EventItem, "runs"> {
  readonly time: string;
  readonly data: unknown;
  readonly problem: string | null;
  readonly parentRunId: string | null;
  /** The event of which this is the replay with other data, and those that are so of this one. */
  readonly replayOf: string | null;
  readonly replays: readonly string[];
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    /** Null when the bytes are not UTF-8. */
    readonly body: string | null;
    readonly bodyBase64: string;
  } | null;
  readonly runs: RunDetail[];
}

export interface Run extends Wire<Omit<KeptRun, "version" | "priority" | "key">> {
  readonly issueId: string | null;
  readonly progress: Progress | null;
}
/** How far a replay or retry of many is; `runs` stands in one run alone. */
export type Progress = Omit<KeptProgress, "runs"> & Partial<KeptProgress>;
/** What a filter means now; `next` when a search by text has more to look through. */
export interface Preview<Item> {
  readonly count: number;
  readonly items: Item[];
  readonly next: string | null;
  readonly filter: Readonly<Record<string, string>>;
}
export type Step = Omit<Wire<KeptStep>, "runId">;
export type EventOfRun = Pick<EventItem, "id" | "source" | "type" | "receivedAt">;
export interface RunDetail extends Run {
  readonly steps: Step[];
  readonly event?: EventOfRun | null;
  /** Oldest first: several when it has gathered a burst. */
  readonly events?: EventOfRun[];
  readonly approvals?: Approval[];
  readonly messages?: Message[];
}
/** The `detail` of a model step and of a tool step; each field may be missing. */
export interface StepDetail extends Partial<CallDetail> {
  readonly tool?: string;
  readonly input?: unknown;
  readonly effect?: string;
  readonly sink?: string;
}

export interface Approval extends Wire<Omit<KeptApproval, "step" | "digest" | "action">> {
  readonly action: { readonly tool: string; readonly input: unknown };
}
export interface IssueItem extends Wire<Omit<IssueRow, "detail">> {
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly closedBy: string | null;
}
export interface IssueDetail extends IssueItem {
  /** Of a shape: two events; of a silence: the last event's time. */
  readonly detail: {
    readonly before?: string;
    readonly after?: string;
    readonly differences?: readonly { readonly path: string }[];
    readonly lastAt?: string | null;
  } | null;
  readonly differences: readonly string[];
  readonly runs: readonly Run[];
  readonly messages: readonly (Message & { readonly error: Failure | null })[];
}
/** When a schedule comes: of one that is there, and of one that is only thought of. */
export type ScheduleForecast = Wire<Omit<Forecast, "note"> & Partial<Pick<Forecast, "note">>>;
export type Schedule = Wire<ScheduleView>;
export interface Tick {
  readonly id: string;
  readonly nominal: string;
  readonly firedAt: string;
  readonly lateMs: number;
  readonly manual: boolean;
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly runs: { readonly id: string; readonly status: RunStatus }[];
}
export interface Conversation extends Omit<KeptConversation, "external"> {
  readonly updatedAt: string;
}
export type Message = Wire<Omit<KeptMessage, "conversationId" | "eventId">>;
export interface Refusal {
  readonly source: string;
  readonly reason: string;
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
}
export interface Spend {
  readonly usd: number;
  readonly limitUsd: number;
}
export type ChecklistStep = "sent" | "refused" | "duplicate" | "report" | "asked";
export interface SystemStatus {
  readonly version: string;
  readonly demo: boolean;
  readonly owner: { readonly name: string; readonly zone: string };
  readonly envFile: string;
  readonly models: ReturnType<Models["list"]>;
  readonly counts: Record<"queued" | "running" | "waiting" | "failed", number>;
  readonly approvals: number;
  readonly issues: number;
  readonly today: Spend;
  readonly stopped: boolean;
  readonly problems: Failure[];
  readonly steps: Record<ChecklistStep, boolean>;
}
export interface Costs {
  readonly today: Spend;
  readonly month: Spend;
  readonly days: { readonly day: string; readonly usd: number; readonly calls: number }[];
  readonly models: readonly (Omit<CallDetail, "role" | "provider" | "demo" | "promptTokens"> & {
    readonly calls: number;
    readonly usd: number;
  })[];
  readonly calls: readonly (Omit<CallDetail, "role" | "provider" | "cacheReadTokens" | "cacheWriteTokens"> & {
    readonly runId: string;
    readonly step: string;
    readonly at: string;
    readonly usd: number;
  })[];
}
export type CapabilityItem = Wire<CapabilityView>;
export interface Token {
  readonly name: string;
  readonly scopes: string[];
  readonly createdAt: string;
  readonly seenAt: string | null;
  readonly expiresAt: string;
}
/** A trigger or a source: whether it is paused, and how many runs it holds back by what. */
export interface Pausable extends Pick<Trigger, "concurrency" | "debounce" | "rate"> {
  readonly name: string;
  readonly installed: boolean;
  readonly paused: boolean;
  readonly pausedAt: string | null;
  readonly waiting: { readonly paused: number; readonly rate: number; readonly debounce: number };
}
export interface TriggerPage extends Page<Pausable> {
  readonly sources: Pausable[];
}

/** What the API answered instead: a code, a sentence, and what to do next. `status` 0: nothing was reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly next: string | undefined;

  constructor(status: number, failure: Failure) {
    super(failure.message);
    this.name = "ApiError";
    this.status = status;
    this.code = failure.code;
    this.next = failure.next;
  }
}

/** Any thrown thing as an `ApiError`. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, {
    code: "console.failed",
    message: `The page could not do that: ${String(error)}`,
    next: "Load the page again.",
  });
}

/** Under this name the browser keeps where a session ended: whoever signs in again, in whichever tab, goes on there. */
export const LEFT = "left";

/** What only reads is given up after this; what changes something may have done so, and is waited for. */
const PATIENCE_MILLISECONDS = 20_000;

/** Sends a request and throws `ApiError` unless it was answered with 2xx; 401 also leads to the login page. */
export async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const response = await fetch(path, {
    method,
    signal: method === "GET" ? AbortSignal.timeout(PATIENCE_MILLISECONDS) : null,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: body === undefined ? {} : { "content-type": "application/json" },
  }).catch(() => {
    throw new ApiError(0, {
      code: "console.unreachable",
      message: "Daimon does not answer.",
      next: "Is it running? Start it with: npm start",
    });
  });
  if (response.ok) return response;
  if (response.status === 401 && location.pathname !== "/login") {
    localStorage.setItem(LEFT, location.pathname + location.search);
    go("/login", { replace: true });
  }
  const answer: unknown = await response.json().catch(() => null);
  throw new ApiError(response.status, readFailure(answer, response.status));
}

/** Sends a request and returns the JSON of its answer, or undefined for 204. */
export async function request<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await call(method, path, body);
  return (response.status === 204 ? undefined : await response.json()) as Answer;
}

function readFailure(answer: unknown, status: number): Failure {
  const failure = (answer as { error?: Failure } | null)?.error;
  if (failure?.message) return failure;
  return { code: `http.${status}`, message: `The server answered ${status}.`, next: "Look at: npx daimon logs" };
}

/** Reads the events of an SSE body until it ends. Comments and events without data are left out. */
export async function* readEventStream(body: ReadableStream<Uint8Array>) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  while (true) {
    const { done, value } = await reader.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = done ? "" : blocks.pop()!;
    for (const block of blocks) {
      const fields = block.split(/\r?\n/).map((line) => line.match(/^(event|data): ?(.*)$/));
      const data = fields.flatMap((field) => (field?.[1] === "data" ? [field[2]] : [])).join("\n");
      const event = fields.find((field) => field?.[1] === "event")?.[2] ?? "message";
      if (data) yield { event, data: JSON.parse(data) as unknown };
    }
    if (done) return;
  }
}
