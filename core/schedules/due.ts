import { nextTime } from "../base/cron.ts";
import { formatDuration, parseDuration } from "../base/durations.ts";
import type { SchedulePolicy } from "../define/capability.ts";
import type { ScheduleRow } from "../store/schedules.ts";

/** A tick this late was not missed, only slow. */
const GRACE_MILLISECONDS = 60_000;
/** Missed ticks made up at most, however long nothing ran. */
const MOST_MISSED = 1500;
/** Ticks passed over that are told one by one; those before them in the words of the first. */
const MOST_TOLD = 10;

const WINDOWS = { none: "1m", one: "7d", all: "24h" } as const;

/** The policy with its defaults. Throws `duration.invalid`. */
export function wholePolicy(policy: SchedulePolicy): Required<SchedulePolicy> {
  const { catchup = "one", overlap = "skip", jitter = "0s", onFailure = { after: 1 }, onRecovery = true } = policy;
  const window = policy.window ?? WINDOWS[catchup];
  parseDuration(window);
  parseDuration(jitter);
  return { catchup, window, overlap, jitter, onFailure: { after: onFailure.after }, onRecovery };
}

/** Milliseconds from 0 to the jitter, by a hash (FNV-1a) of the name: the same each time. */
export function jitterOf(name: string, policy: Required<SchedulePolicy>): number {
  const most = parseDuration(policy.jitter);
  let hash = 0x811c9dc5;
  for (let place = 0; place < name.length; place++) hash = Math.imul(hash ^ name.charCodeAt(place), 0x01000193);
  // The last steps of a hash of similar names differ little: its bits are mixed once more.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return most === 0 ? 0 : ((hash ^ (hash >>> 12)) >>> 0) % (most + 1);
}

/** A nominal time that is passed over, and why. */
export interface Skipped {
  readonly time: Date;
  readonly reason: string;
}

/** What a clock does about a schedule that is due. */
export interface Plan {
  readonly fire: readonly Date[];
  readonly skipped: readonly Skipped[];
  /** The tick that waits until the run before is finished. */
  readonly held: Date | null;
  /** The nominal time that comes next; past, when missed ticks still wait their turn. */
  readonly next: Date | null;
  /** The older runs are to be canceled. */
  readonly cancel: boolean;
}

type Row = Pick<ScheduleRow, "cron" | "zone" | "nextAt" | "heldAt">;

interface Moment {
  /** A run of the schedule is not finished. */
  readonly busy: boolean;
  /** Its next tick was due before, and waits its turn among missed ones. */
  readonly waited: boolean;
  /** With the jitter taken off. */
  readonly now: Date;
}

/** Decides what fires, waits and is passed over: pure. */
export function planTicks(row: Row, policy: Required<SchedulePolicy>, { busy, waited, now }: Moment): Plan {
  const { due, skipped, next } = dueTimes(row, policy, now);
  if (policy.overlap === "allow") {
    return { fire: row.heldAt ? [row.heldAt, ...due] : due, skipped, held: null, next, cancel: false };
  }
  if (policy.overlap === "cancel") return planCancel(row, { busy, due, skipped, next });
  const fire: Date[] = [];
  let held = row.heldAt;
  if (held && !busy) {
    fire.push(held);
    held = null;
  }
  const missed = due[0] && now.getTime() - due[0].getTime() > GRACE_MILLISECONDS;
  for (const time of due) {
    const free = !busy && fire.length === 0;
    if (free) fire.push(time);
    else if (policy.overlap === "queue" && !held) held = time;
    else if (policy.catchup === "all" && (missed || waited)) return { fire, skipped, held, next: time, cancel: false };
    else skipped.push({ time, reason: overlapReason(policy.overlap) });
  }
  return { fire, skipped, held, next, cancel: false };
}

const overlapReason = (overlap: string) =>
  overlap === "queue"
    ? 'The run before is not finished, and one tick is queued behind it; overlap is "queue".'
    : `The run before is not finished; overlap is "${overlap}".`;

type Found = { due: Date[]; skipped: Skipped[]; next: Date | null };

/** The newest tick wins: it starts at once, or when the older run, now canceled, has ended. */
function planCancel(row: Row, { busy, due, skipped, next }: Found & { busy: boolean }): Plan {
  const times = row.heldAt ? [row.heldAt, ...due] : due;
  const newest = times.at(-1);
  const reason = 'A newer tick took its place; overlap is "cancel".';
  const passed = [...skipped, ...times.slice(0, -1).map((time) => ({ time, reason }))];
  if (!newest || !busy) return { fire: newest ? [newest] : [], skipped: passed, held: null, next, cancel: false };
  return { fire: [], skipped: passed, held: newest, next, cancel: true };
}

/** Which nominal times are to be run, by the catch-up policy, and which are passed over: pure. */
export function dueTimes(
  row: Pick<ScheduleRow, "cron" | "zone" | "nextAt">,
  policy: Pick<Required<SchedulePolicy>, "catchup" | "window">,
  now: Date,
): Found {
  const { cron, zone, nextAt } = row;
  if (cron === null)
    return { due: nextAt && nextAt <= now ? [nextAt] : [], skipped: [], next: nextAt && nextAt <= now ? null : nextAt };
  const { catchup, window } = policy;
  const times = lastTimes({ cron, zone, nextAt }, now, catchup === "all" ? MOST_MISSED + MOST_TOLD : MOST_TOLD + 2);
  const last = times.at(-1);
  const next = last ? nextTime(cron, zone, last) : nextAt;
  const late = (time: Date) => now.getTime() - time.getTime();
  const most = Math.max(parseDuration(window), GRACE_MILLISECONDS);
  const onTime = times.filter((time) => late(time) <= (catchup === "none" ? most : GRACE_MILLISECONDS));
  const within = times.filter((time) => late(time) <= most);
  const due =
    catchup === "all"
      ? within.slice(-MOST_MISSED)
      : onTime.length > 0 || catchup === "none"
        ? onTime
        : within.slice(-1);
  const [first] = due;
  const missed = times.filter((time) => !first || time < first);
  const skipped = missed.slice(-MOST_TOLD).map((time, place) => {
    const inside = catchup === "one" ? ", and a later one is made up" : `, ${MOST_MISSED} at most`;
    const rule = late(time) <= most ? inside : `, ${catchup === "none" ? "up to" : "within"} ${window}`;
    const reason = `Missed while nothing ran, by ${formatDuration(late(time))}; catchup is "${catchup}"${rule}.`;
    const before = place === 0 && nextAt !== null && nextAt < time;
    return { time, reason: before ? `${reason} So were those before it, since ${nextAt.toISOString()}.` : reason };
  });
  return { due, skipped, next };
}

/**
 * The last `most` times from `nextAt` to now, oldest first. Only as far back as is needed: a minute holds one time
 * at most, and years in which nothing ran are not counted minute by minute.
 */
function lastTimes(
  { cron, zone, nextAt }: { cron: string; zone: string; nextAt: Date | null },
  now: Date,
  most: number,
) {
  for (let span = most * 60_000; ; span *= 4) {
    const from = now.getTime() - span;
    const whole = nextAt === null || nextAt.getTime() >= from;
    const times: Date[] = [];
    let time = whole ? nextAt : nextTime(cron, zone, new Date(from));
    for (; time && time <= now; time = nextTime(cron, zone, time)) times.push(time);
    if (whole || times.length >= most) return times.slice(-most);
  }
}
