import type { Channel } from "./channel.ts";
import type { Handler } from "./context.ts";
import type { EventMatch } from "./event.ts";
import type { Limits, RetryPolicy } from "./limits.ts";
import type { Tool } from "./tool.ts";
import type { Webhook } from "./webhook.ts";

/** "On this event, do that." */
export interface Trigger {
  readonly name: string;
  readonly description?: string;
  readonly on: EventMatch;
  readonly run: Handler<never>;
  /** At most `limit` runs at a time that share the value at `key` (a dotted path of the data; none: all share). */
  readonly concurrency?: { readonly key?: string; readonly limit: number };
  /**
   * A burst of events, those that share the value at `key` (none: all), becomes one run with all of them. It begins
   * `delay` (`"30s"`) after the last, at the latest `most` (`"5m"`) after the first, and with a thousand at once.
   */
  readonly debounce?: { readonly key?: string; readonly delay: string; readonly most?: string };
  /** At most `limit` runs that share the value at `key` begin within `per` (`"1m"`); the others wait their turn. */
  readonly rate?: { readonly limit: number; readonly per: string; readonly key?: string };
  /** Higher is sooner. Default 0. */
  readonly priority?: number;
  readonly retry?: RetryPolicy;
  readonly limits?: Limits;
}

/** The data of a schedule's event. */
export interface Tick {
  /** `capability/schedule`; for one that was made with words, its name alone. */
  readonly schedule: string;
  /** The time that was meant, in UTC (ISO 8601): the same when it is made up for later. */
  readonly nominal: string;
  /** Its day in the schedule's zone: `2026-11-24`. */
  readonly date: string;
  /** The nominal time in the schedule's zone, to be said: `Tuesday 24 November 2026, 09:00`. */
  readonly words: string;
  /** Milliseconds from the time that it was due (nominal, and jitter) until it fired. */
  readonly late: number;
}

/** What becomes of ticks that were missed, that overlap, and of runs that fail. */
export interface SchedulePolicy {
  /** Ticks missed while nothing ran: none is made up, the latest one (default), or all, one after another. */
  readonly catchup?: "none" | "one" | "all";
  /** A duration: how late a tick may be and still be made up. Default: `1m` for none, `7d` for one, `24h` for all. */
  readonly window?: string;
  /**
   * When the run before is not finished: skip (default), queue one behind it, allow it beside, or cancel the older
   * run with its children and then start.
   */
  readonly overlap?: "skip" | "queue" | "allow" | "cancel";
  /** A duration: fires so much later at most, by a hash of the name, each time the same. Default `0s`. */
  readonly jitter?: string;
  /** After so many failed runs in a row the owner is told, once, and `daimon schedule.failed` is emitted. Default 1. */
  readonly onFailure?: { readonly after: number };
  /** Whether the first good run after that is told, and `daimon schedule.recovered` emitted. Default true. */
  readonly onRecovery?: boolean;
}

/** "At this time, do that." */
export interface Schedule extends SchedulePolicy {
  readonly name: string;
  readonly description?: string;
  /** Five fields, Vixie semantics. */
  readonly cron: string;
  /** IANA zone. Default: the owner's. */
  readonly zone?: string;
  /** When no run of it completed for so long (`"8d"`), an issue says so. Default: never. */
  readonly expectEvery?: string;
  readonly run: Handler<Tick>;
  readonly retry?: RetryPolicy;
  readonly limits?: Limits;
}

/** A named value from the environment or `home/.env` that no model sees. */
export interface Secret {
  readonly name: string;
  readonly description: string;
  /** True when it is ours to choose (most webhook secrets): made at random when it is missing. */
  readonly generate?: boolean;
  /** False: the capability works without it. Default true. */
  readonly required?: boolean;
}

/** An installed folder: what the system can do. */
export interface Capability {
  readonly name: string;
  readonly description: string;
  readonly webhooks?: readonly Webhook[];
  readonly triggers?: readonly Trigger[];
  readonly schedules?: readonly Schedule[];
  readonly tools?: readonly Tool<never>[];
  readonly channels?: readonly Channel[];
  readonly secrets?: readonly Secret[];
  /** Hosts it may speak to. */
  readonly egress?: readonly string[];
}
