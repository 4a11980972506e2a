/** What a run, an agent or a day may spend. A missing limit is taken from `daimon.config.ts`. */
export interface Limits {
  /** Model calls. */
  readonly turns?: number;
  /** US dollars. */
  readonly usd?: number;
  /** Minutes of wall clock, sleeping and waiting not counted. */
  readonly minutes?: number;
}

/** When and how often a failed run is tried again. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly attempts: number;
  /** Milliseconds before the second, third, … try; the last one repeats. */
  readonly delays: readonly number[];
}
