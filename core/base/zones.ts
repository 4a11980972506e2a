import { DaimonError } from "./errors.ts";

export const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
export const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);
export const DAY_MILLISECONDS = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws `cron.zone` unless it is an IANA time zone. */
export function checkZone(zone: string): void {
  formatOf(zone);
}

export function isZone(zone: string): boolean {
  try {
    return Boolean(formatOf(zone));
  } catch {
    return false;
  }
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const found = formats.get(zone);
  if (found) return found;
  try {
    const numeric = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" } as const;
    const format = new Intl.DateTimeFormat("en-US", {
      ...{ ...numeric, second: "numeric", hourCycle: "h23", calendar: "gregory", timeZone: zone },
    });
    formats.set(zone, format);
    return format;
  } catch {
    throw new DaimonError("cron.zone", `"${zone}" is not an IANA time zone.`, 'Write it like "Europe/Amsterdam".');
  }
}

/** What clocks in `zone` show, as a Date whose UTC fields are theirs. Throws `cron.zone`. */
export function toWall(zone: string, at: Date): Date {
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  ) as Record<"year" | "month" | "day" | "hour" | "minute" | "second", number>;
  const { year, month, day, hour, minute, second } = parts;
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second, at.getUTCMilliseconds()));
}

/** By how many milliseconds clocks in `zone` are ahead of UTC. */
function offsetAt(zone: string, at: Date): number {
  return toWall(zone, at).getTime() - at.getTime();
}

/**
 * When clocks in `zone` show `wall`. A time that the clocks leave out is `skipped`, and moved to the change; of one
 * that comes `twice` it is the first.
 */
export function fromWall(zone: string, wall: Date): { at: Date; case: "once" | "twice" | "skipped" } {
  const offsets = [-1, 1].map((side) => offsetAt(zone, new Date(wall.getTime() + side * DAY_MILLISECONDS)));
  const candidates = [...new Set(offsets)]
    .map((offset) => new Date(wall.getTime() - offset))
    .filter((at) => toWall(zone, at).getTime() === wall.getTime())
    .sort((one, other) => one.getTime() - other.getTime());
  if (candidates[0]) return { at: candidates[0], case: candidates.length > 1 ? "twice" : "once" };
  const change = nextChange(zone, new Date(wall.getTime() - 2 * DAY_MILLISECONDS));
  return { at: change!.at, case: "skipped" };
}

/** The next change of the clocks in `zone`: when, and what they show just before and from then on. Null: none in 400 days. */
export function nextChange(zone: string, after: Date): { at: Date; before: Date; now: Date } | null {
  const offset = offsetAt(zone, after);
  for (let day = 7; day <= 400; day += 7) {
    let low = after.getTime() + (day - 7) * DAY_MILLISECONDS;
    let high = after.getTime() + day * DAY_MILLISECONDS;
    if (offsetAt(zone, new Date(high)) === offset) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetAt(zone, new Date(middle)) === offset) low = middle;
      else high = middle;
    }
    return { at: new Date(high), before: new Date(high + offset), now: toWall(zone, new Date(high)) };
  }
  return null;
}

/** `24 November 2026` of what clocks show. */
export const dateWords = (wall: Date): string =>
  `${wall.getUTCDate()} ${MONTHS[wall.getUTCMonth()]} ${wall.getUTCFullYear()}`;

/** `09:00` of what clocks show. */
export const clockWords = (wall: Date): string => wall.toISOString().slice(11, 16);

/** `Tuesday 24 November 2026, 09:00` of what clocks show. */
export const wallWords = (wall: Date): string => `${DAYS[wall.getUTCDay()]} ${dateWords(wall)}, ${clockWords(wall)}`;

/** The same, as clocks in `zone` show it. */
export const timeWords = (zone: string, at: Date): string => wallWords(toWall(zone, at));
