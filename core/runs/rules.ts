/** The rules of a run's life, pure: time comes in as an argument, chance as a number. */

import type { Limits, RetryPolicy } from "../define/limits.ts";
import type { Failure } from "../define/run.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The retry ladder of the Standard Webhooks senders, from the run's side (https://docs.svix.com/retries). */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 8,
  delays: [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR],
};

/** For runs that a person is waiting for. */
export const CHAT_RETRY: RetryPolicy = { attempts: 3, delays: [1 * SECOND, 5 * SECOND] };

/** True for an error that no further try would mend: what is missing, wrong or refused stays so. */
export function isPermanent(error: Failure): boolean {
  return /\.(missing|wrong|invalid|unknown|changed|denied)$/.test(error.code) || /^(limit|event)\./.test(error.code);
}

export type RetryDecision =
  | { readonly again: false; readonly attempts: number }
  | { readonly again: true; readonly attempts: number; readonly at: Date };

/** However long a far side asks to be left alone, it is asked again after this: it may have been wrong. */
const LONGEST_ASKED = 2 * HOUR;

/**
 * Whether a run that failed is tried again, and when: the ladder's delay, or the longer one that the error asks for, and up
 * to a quarter more by `chance` (0 to 1), so that what failed together does not come back together.
 */
export function decideRetry(
  policy: RetryPolicy,
  failed: { attempts: number; error: Failure; now: Date; chance: number },
): RetryDecision {
  const attempts = failed.attempts + 1;
  if (isPermanent(failed.error) || attempts >= policy.attempts) return { again: false, attempts };
  const asked = Math.min((failed.error.retryAfter ?? 0) * SECOND, LONGEST_ASKED);
  const delay = Math.max(asked, policy.delays[Math.min(attempts, policy.delays.length) - 1] ?? 0);
  return { again: true, attempts, at: new Date(failed.now.getTime() + delay * (1 + failed.chance / 4)) };
}

/** The limits of a run: what it asks for, below what the owner allows each run. */
export function effectiveLimits(asked: Limits, allowed: Required<Limits>): Required<Limits> {
  return {
    turns: Math.min(asked.turns ?? allowed.turns, allowed.turns),
    usd: Math.min(asked.usd ?? allowed.usd, allowed.usd),
    minutes: Math.min(asked.minutes ?? allowed.minutes, allowed.minutes),
  };
}

/** The key of the next step of that name: the name itself, then `name#2`, `name#3`, …, past those that are names themselves. */
export function nextStepKey(counts: Map<string, number>, name: string): string {
  let count = (counts.get(name) ?? 0) + 1;
  while (count > 1 && counts.has(`${name}#${count}`)) count++;
  const key = count === 1 ? name : `${name}#${count}`;
  counts.set(key, 1).set(name, count);
  return key;
}
