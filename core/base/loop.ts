import type { Clock } from "./clock.ts";

/** Work that is done again and again until it is stopped. */
export interface Loop {
  start(): void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** Does `work`, which does not throw, and again `pause()` milliseconds after each end, by this clock. */
export function createLoop(clock: Clock, work: () => Promise<void>, pause: () => number): Loop {
  let open = false;
  let cancelTimer: () => void = () => {};
  let current: Promise<void> = Promise.resolve();
  const turn = async () => {
    await work();
    if (open) cancelTimer = clock.after(pause(), run);
  };
  const run = () => {
    current = turn();
  };
  return {
    start() {
      open = true;
      run();
    },
    async stop() {
      open = false;
      cancelTimer();
      await current;
    },
  };
}
