import type { Label } from "./label.ts";

/**
 * What became of an event:
 * `dispatched` it has runs, which may have to wait (for a burst, a pause, a rate) · `ignored` no trigger wants its
 * source and type · `filtered` a trigger wants them, but not this data · `skipped` a schedule's tick that was missed,
 * or overlapped · `dead` a run of it has failed for good, or it could not be read: never written, but read so as long
 * as no retry or replay stands for the failed run.
 */
export type EventOutcome = "dispatched" | "ignored" | "filtered" | "skipped" | "dead";

/** The request exactly as it came in; but a secret of ours that its sender repeats is not kept. */
export interface RawRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A fact that came in. It is never changed. */
export interface DaimonEvent<Data = unknown> {
  readonly id: string;
  /** Who says so: a webhook's source, `schedule`, `chat`, or `daimon` for what the system itself says. */
  readonly source: string;
  /** What happened, in the source's own words: `issues.opened`. */
  readonly type: string;
  /** The sender's name for this delivery; unique within the source. */
  readonly key: string;
  /** When it was kept; for a schedule its nominal time. */
  readonly time: Date;
  /** The parsed body. */
  readonly data: Data;
  readonly label: Label;
}

/** A new event, before it is kept. */
export interface NewEvent {
  readonly source: string;
  readonly type: string;
  /** Default: a fresh id, so that the event is never a duplicate. */
  readonly key?: string;
  readonly data: unknown;
  readonly label: Label;
  readonly time?: Date;
  /** The run that emitted it. */
  readonly parentRunId?: string;
  readonly request?: RawRequest;
  /** Why the body could not be read, when it could not: its runs fail with this sentence. */
  readonly problem?: string;
}

/** One dotted path into an event's data and the value, or one of the values, that must stand there. */
export type Where = Readonly<Record<string, Scalar | readonly Scalar[]>>;
export type Scalar = string | number | boolean | null;

/** Which events are meant. `type` may end in `.*`, and `*` is any. */
export interface EventMatch {
  readonly source: string;
  readonly type?: string | readonly string[];
  readonly where?: Where;
}
