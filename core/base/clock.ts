import { DaimonError } from "./errors.ts";

/** Where time comes from, so that tests can set it. */
export interface Clock {
  now(): Date;
  /** Calls `wake` once, after `milliseconds`; returns how to call it off. */
  after(milliseconds: number, wake: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => new Date(),
  after(milliseconds, wake) {
    const timer = setTimeout(wake, milliseconds);
    return () => clearTimeout(timer);
  },
};

/**
 * The system's clock, or for tests one that has run faster since a moment: `60@2026-11-22T12:00:00Z` is sixty times as
 * fast since noon. Throws `config.clock`.
 */
export function createClock(told: string | undefined): Clock {
  if (!told) return systemClock;
  const [speed = Number.NaN, since = Number.NaN] = told
    .split(/@(.*)/)
    .map((part, place) => (place ? Date.parse(part) : Number(part)));
  if (!(speed > 0) || Number.isNaN(since)) {
    const next = 'Write it like "60@2026-11-22T12:00:00Z", or not at all.';
    throw new DaimonError("config.clock", `DAIMON_CLOCK is "${told}".`, next);
  }
  return {
    now: () => new Date(since + (Date.now() - since) * speed),
    after: (milliseconds, wake) => systemClock.after(milliseconds / speed, wake),
  };
}
