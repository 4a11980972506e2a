import { nextTime } from "./cron.ts";
import { clockWords, dateWords, nextChange, toWall } from "./zones.ts";

/**
 * What the next change of the clocks in `zone` does to a cron expression, in a sentence; null where clocks do not
 * change within 400 days.
 */
export function clockChange(cron: string, zone: string, after: Date): { at: Date; text: string } | null {
  const change = nextChange(zone, after);
  if (!change) return null;
  const { at, before, now } = change;
  const forward = now > before;
  const [from, to] = forward ? [before, now] : [now, before];
  const named = wallTimes(cron, from, to);
  const day = `On ${dateWords(new Date(before.getTime() - 1))} clocks`;
  const what = forward
    ? `${day} skip ${clockWords(before)} to ${clockWords(now)}`
    : `${day} go back from ${clockWords(before)} to ${clockWords(now)}`;
  if (named.length === 0) return { at, text: `${what}: nothing changes here.` };
  const effect = forward ? skipped(cron, zone, at, named) : repeated(cron, zone, { at, named, span: +to - +from });
  return { at, text: `${what}: ${effect}` };
}

function skipped(cron: string, zone: string, at: Date, named: readonly Date[]): string {
  const next = nextTime(cron, zone, new Date(at.getTime() - 1));
  if (!next) return `${list(named)} is left out.`;
  const wall = toWall(zone, next);
  const own = wallTimes(cron, wall, new Date(wall.getTime() + 1)).length > 0;
  if (next.getTime() === at.getTime() && !own) return `what is for ${list(named)} fires at ${clockWords(wall)}.`;
  return `${list(named)} ${named.length > 1 ? "are" : "is"} left out, and the next is ${clockWords(wall)}.`;
}

function repeated(cron: string, zone: string, { at, named, span }: { at: Date; named: readonly Date[]; span: number }) {
  const again = nextTime(cron, zone, new Date(at.getTime() - 1));
  const twice = again !== null && again.getTime() < at.getTime() + span;
  const [come, fire] = named.length > 1 ? ["come", "fire"] : ["comes", "fires"];
  return `${list(named)} ${come} twice and ${fire} ${twice ? "twice" : "once, the first time"}.`;
}

/** The times from `from` until before `to`, as clocks would show them if they never changed. */
function wallTimes(cron: string, from: Date, to: Date): Date[] {
  const times: Date[] = [];
  for (let time = nextTime(cron, "UTC", new Date(from.getTime() - 1)); time && time < to; ) {
    times.push(time);
    time = nextTime(cron, "UTC", time);
  }
  return times;
}

function list(times: readonly Date[]): string {
  const words = times.map(clockWords);
  if (words.length > 3) return `${words[0]}, ${words[1]} and so on until ${words.at(-1)}`;
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]!;
}
