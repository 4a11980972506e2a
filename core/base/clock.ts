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
