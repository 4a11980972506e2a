import type { Label } from "./label.ts";
import type { Limits } from "./limits.ts";

/**
 * The life of a run:
 *
 *     queued ─claim─► running ─┬─► completed
 *        ▲               │     ├─► failed      (no try left, or an error that no try would mend)
 *        │               │     └─► canceled
 *        └──wake── waiting ◄───┘               (sleep, event, approval, or the pause before the next try)
 *
 * A run may also wait before it begins: while it gathers a burst, while its trigger or source is paused, and until its
 * rate allows it.
 */
export type RunStatus = "queued" | "running" | "waiting" | "completed" | "failed" | "canceled";

/** Statuses that a run never leaves, unless a person retries it. */
export const FINISHED: readonly RunStatus[] = ["completed", "failed", "canceled"];

/** An error as it is kept and shown: a code, a sentence, and what to do next. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly next?: string;
  /** Seconds that whoever refused asked to be left alone for (`Retry-After`): the next try is not before. */
  readonly retryAfter?: number;
  /** Where in the capability's own code, innermost first: `planOf (billing/plan.ts:41:9)`. */
  readonly at?: readonly string[];
}

/** What a waiting run waits for. */
export type Waiting =
  | { readonly kind: "sleep"; readonly step: string }
  | { readonly kind: "event"; readonly step: string; readonly source: string; readonly type: string }
  | { readonly kind: "approval"; readonly step: string; readonly approvalId: string }
  | { readonly kind: "retry"; readonly attempt: number; readonly error: Failure }
  /** It gathers a burst, of so many events so far; `until` is the latest it begins. */
  | { readonly kind: "debounce"; readonly events: number; readonly until: string | null }
  /** `trigger:capability/name` or `source:name`. */
  | { readonly kind: "paused"; readonly name: string }
  /** So many begin within so many milliseconds. */
  | { readonly kind: "rate"; readonly limit: number; readonly milliseconds: number };

/** One execution of a handler. */
export interface Run {
  readonly id: string;
  /** The newest of its events. */
  readonly eventId: string;
  /** The run that started this one. */
  readonly parentId: string | null;
  /** `trigger:github/file-issue`, `schedule:competitor-analysis/weekly`, `agent:default`. */
  readonly handler: string;
  /** A fingerprint of the handler's code: as the run was queued, then as it last ran. */
  readonly version: string | null;
  readonly status: RunStatus;
  readonly priority: number;
  /** Runs with the same key run at most `keyLimit` at a time. */
  readonly key: string | null;
  /** Failed tries so far. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly label: Label;
  readonly limits: Limits;
  /** US dollars settled so far. */
  readonly usd: number;
  readonly waiting: Waiting | null;
  readonly error: Failure | null;
  readonly result: unknown;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** When a waiting run is woken, if a time is set. */
  readonly wakeAt: Date | null;
}

export type StepKind = "code" | "model" | "tool" | "sleep" | "wait" | "approval" | "send" | "emit" | "hub";
/** `started` is kept only for what has an effect outside: a crash leaves it as *outcome unknown*. */
export type StepStatus = "started" | "completed" | "failed";

/** How a step stands, in a word: what has an effect outside and was not seen to end may or may not have had it. */
export function stepState(step: Pick<Step, "kind" | "status">, run: Pick<Run, "status">) {
  if (step.status !== "started") return step.status;
  const waits = step.kind === "sleep" || step.kind === "wait" || step.kind === "approval";
  if (waits) return FINISHED.includes(run.status) ? "canceled" : "waiting";
  return run.status === "running" ? "running" : "outcome unknown";
}

/** A named checkpoint in a run. A completed step is never executed again. */
export interface Step {
  readonly runId: string;
  /** The name, and `#2`, `#3`, … when a name comes again. Steps of an agent stand below its own: `ask/model#1`. */
  readonly key: string;
  readonly kind: StepKind;
  readonly status: StepStatus;
  readonly value: unknown;
  readonly error: Failure | null;
  /** Which try of the run it was, from 1. */
  readonly attempt: number;
  readonly label: Label;
  /** Model and token figures of a model step; input and sink of a tool step. */
  readonly detail: unknown;
  readonly usd: number;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}
