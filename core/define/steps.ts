import type { ApprovalRequest } from "./context.ts";
import type { Label } from "./label.ts";
import type { StepKind } from "./run.ts";

/** What the code of a step may tell about itself while it runs; kept with its value. */
export interface StepNotes {
  /** The step's full key: with the run's id it is the idempotency key `run/step`. */
  readonly key: string;
  /** Which try of the run this is, from 1. */
  readonly attempt: number;
  detail(detail: unknown): void;
  /** US dollars that the step cost. */
  usd(usd: number): void;
  /** Joined into the label of the step and of the run. */
  label(label: Label): void;
}

export interface StepRequest<Value> {
  readonly name: string;
  readonly kind: StepKind;
  readonly detail?: unknown;
  /**
   * True for what has an effect outside: a `started` row is kept before the code runs. When such a row is found
   * after a crash, `onUnknown` decides what the step returns; without it the step runs again.
   */
  readonly effect?: boolean;
  readonly code: (notes: StepNotes) => Promise<Value>;
  readonly onUnknown?: (notes: StepNotes) => Promise<Value>;
}

/** One run's journal: the checkpoints that an agent or a tool sets. */
export interface StepJournal {
  readonly runId: string;
  readonly signal: AbortSignal;
  /** True when no try follows this one: what fails now has failed for good. */
  readonly lastTry: boolean;
  /** The join of all that the run has read so far. */
  readonly label: Label;
  readonly usdSpent: number;
  /** Milliseconds of work so far, sleeping and waiting not counted. */
  readonly workedMilliseconds: number;
  /** A checkpoint: the kept value when it is finished, else the code's, kept before it is returned. */
  record<Value>(request: StepRequest<Value>): Promise<Value>;
  /** A journal whose steps stand below `name/`. */
  scope(name: string): StepJournal;
  approve(name: string, request: ApprovalRequest): Promise<boolean>;
  /** Tells whoever watches now; nothing is kept. */
  publish(change: {
    kind: "delta" | "tool" | "approval";
    text?: string;
    name?: string;
    state?: string;
    id?: string;
  }): void;
}
