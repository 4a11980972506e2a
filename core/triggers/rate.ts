import { parseDuration } from "../base/durations.ts";
import type { Webhook } from "../define/webhook.ts";

/** Counts a request of a source. Returns after how many seconds it may come again when it is one too many, else null. */
export type Count = (webhook: Webhook) => number | null;

/** Counts in this process alone, from the first request on, then anew: the door must not ask a database how full it is. */
export function createCount(now: () => Date): Count {
  const windows = new Map<string, { until: number; count: number }>();
  return ({ source, rate }) => {
    if (!rate) return null;
    const at = now().getTime();
    let window = windows.get(source);
    if (!window || window.until <= at) {
      window = { until: at + parseDuration(rate.per), count: 0 };
      windows.set(source, window);
    }
    if (window.count >= rate.limit) return Math.ceil((window.until - at) / 1000);
    window.count++;
    return null;
  };
}
