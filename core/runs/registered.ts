import type { Trigger } from "../define/capability.ts";
import type { Context } from "../define/context.ts";
import type { EventMatch } from "../define/event.ts";
import type { Limits, RetryPolicy } from "../define/limits.ts";
import type { StepJournal } from "../define/steps.ts";

/** What a run executes. `trigger:github/issues`, `schedule:competitor-analysis/weekly`, `agent:default`. */
export interface RegisteredHandler extends Pick<Trigger, "concurrency" | "debounce" | "rate"> {
  readonly name: string;
  /** A fingerprint of its code: a run that slept knows by it whether the code changed meanwhile. */
  readonly version: string;
  readonly retry: RetryPolicy;
  readonly limits: Limits;
  readonly priority: number;
  /** A secret of its capability. */
  readonly secret: (name: string) => string;
  /** The journal is opened when it is asked for. */
  readonly run: (context: Context<never>, journal: () => StepJournal) => Promise<unknown>;
}

/** A trigger's part in dispatch: which handler runs on which events. */
export interface RegisteredTrigger {
  readonly handler: string;
  readonly on: EventMatch;
}

/** All that can be executed; read anew at each dispatch, so that nothing is cached across an install. */
export interface Handlers {
  get(name: string): RegisteredHandler | undefined;
  triggers(): readonly RegisteredTrigger[];
}
