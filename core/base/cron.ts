import { Cron } from "croner";
import { DaimonError } from "./errors.ts";
import { checkZone } from "./zones.ts";

/** Expressions that were read, by zone and text, each with the time that was asked for last: many schedules share both. */
const known = new Map<string, Known>();
const MOST_KNOWN = 20_000;

interface Known {
  readonly cron: Cron;
  /** In milliseconds. */
  after: number;
  next: Date | null;
}

/**
 * The first time after `after` that `expression` names in `zone`, or null when there is none.
 * Vixie semantics at DST (cron(8): a skipped time runs at the change, a repeated one once).
 * Throws `cron.invalid` or `cron.zone`.
 */
export function nextTime(expression: string, zone: string, after: Date): Date | null {
  const entry = read(expression, zone);
  if (entry.after !== after.getTime()) {
    entry.next = entry.cron.nextRun(after);
    entry.after = after.getTime();
  }
  return entry.next;
}

/** The next `most` times after `after`; fewer when there are no more. Throws as `nextTime`. */
export function nextTimes(expression: string, zone: string, after: Date, most: number): Date[] {
  return read(expression, zone).cron.nextRuns(most, after);
}

function read(expression: string, zone: string): Known {
  const key = `${zone} ${expression}`;
  const found = known.get(key);
  if (found) return found;
  checkZone(zone);
  try {
    const cron = new Cron(expression.replace(/\b(\d+)-(\d+)\/(\d+)\b/g, spelledOut), {
      timezone: zone,
      fixedTimeRule: "no-wildcard",
      mode: "5-part",
    });
    if (known.size >= MOST_KNOWN) known.clear();
    const entry = { cron, after: Number.NaN, next: null };
    known.set(key, entry);
    return entry;
  } catch (error) {
    const reason = String((error as Error).message).replace(/^CronPattern: |\.+$/g, "");
    throw new DaimonError(
      "cron.invalid",
      `"${expression}" is not a cron expression: ${reason}.`,
      'Write five fields, like "0 9 * * 2" for Tuesday 9:00.',
    );
  }
}

/** `10-50/20` as `10,30,50`: croner takes a step for a wildcard, cron(8) does not. */
function spelledOut(range: string, from: string, to: string, step: string): string {
  const count = Math.floor((Number(to) - Number(from)) / Number(step)) + 1;
  if (!(count > 0 && count <= 60)) return range;
  return Array.from({ length: count }, (_, place) => Number(from) + place * Number(step)).join(",");
}
