import { nextTime } from "../base/cron.ts";
import type { Database } from "../store/database.ts";
import { type DaimonProcess, type System, until } from "./system.ts";

const ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];

/** A tenth all at the full hour, a tenth each quarter, the rest spread over the hour: once, or twice. */
function cronOf(n: number): string {
  if (n % 10 === 0) return "0 * * * *";
  if (n % 10 === 1) return "*/15 * * * *";
  return n % 10 < 5 ? `${n % 60} * * * *` : `${n % 30},${(n % 30) + 30} * * * *`;
}

/** Schedules of many kinds, `load/s-<n>`; their handlers do nothing. */
const clockCapability = (count: number): string => `
import { defineCapability, defineSchedule } from "daimon";

${cronOf}
const ZONES = ${JSON.stringify(ZONES)};

export default defineCapability({
  name: "load",
  description: "Many schedules",
  schedules: Array.from({ length: ${count} }, (_, n) =>
    defineSchedule({
      ...{ name: "s-" + n, cron: cronOf(n), zone: ZONES[n % ZONES.length], catchup: "all", overlap: "allow" },
      run: async () => n,
    }),
  ),
});
`;

/** How many times those schedules have after `from`, up to `to`. */
function countTimes(count: number, from: Date, to: Date): number {
  const known = new Map<string, number>();
  let sum = 0;
  for (let n = 0; n < count; n++) {
    const [cron, zone] = [cronOf(n), ZONES[n % ZONES.length]!];
    const found = known.get(cron + zone);
    let times = found ?? 0;
    if (found === undefined)
      for (let time = nextTime(cron, zone, from); time && time <= to; times++) time = nextTime(cron, zone, time);
    known.set(cron + zone, times);
    sum += times;
  }
  return sum;
}

export interface ClockHour {
  /** Ticks that were kept, and how many were to be. */
  readonly ticks: number;
  readonly expected: number;
  readonly twice: number;
  readonly withoutOneRun: number;
  readonly kills: number;
  readonly realSeconds: number;
  /** Milliseconds of the fast clock, and of real time. */
  readonly late: { readonly p50: number; readonly p99: number; readonly most: number };
  readonly realLate: { readonly p50: number; readonly p99: number; readonly most: number };
}

/**
 * An hour of a fast clock: two clocks on one database (and a worker), one of them killed with -9 at random and started
 * again, over and over. Returns what was kept of the hour, beside what the crons say.
 */
export async function runClockHour(
  system: System,
  database: Database,
  options: { count: number; seconds: number; chance: () => number; worker: boolean },
): Promise<ClockHour> {
  system.install("load", { "index.ts": clockCapability(options.count) });
  const speed = 3600 / options.seconds;
  // The clocks start with the system's time, and their hour begins when both stand: the table is set to it.
  const since = new Date();
  const environment = { DAIMON_CLOCK: `${speed}@${since.toISOString()}` };
  const now = () => new Date(since.getTime() + (Date.now() - since.getTime()) * speed);
  const worker = options.worker ? [await system.start("worker", environment)] : [];
  const clocks: DaimonProcess[] = await Promise.all([
    system.start("clock", environment),
    system.start("clock", environment),
  ]);
  const began = performance.now();
  const from = now();
  const to = new Date(from.getTime() + 3_600_000);
  let kills = 0;
  while (now() < to) {
    await new Promise((resolve) => setTimeout(resolve, 300 + options.chance() * 1200));
    const place = options.chance() < 0.5 ? 0 : 1;
    await clocks[place]!.kill();
    kills++;
    clocks[place] = await system.start("clock", environment);
  }
  const realSeconds = (performance.now() - began) / 1000;
  await until("all that was due has been fired", async () => {
    const due = await database.query("select from schedules where due_at < $1 limit 1", [to]);
    return due.length === 0;
  });
  for (const process of [...clocks, ...worker]) await process.kill();
  const inside = "source = 'schedule' and time > $1 and time <= $2";
  const [kept] = await database.query<{ ticks: number; times: number; odd: number; late: number[] }>(
    `select count(*) as ticks, count(distinct (type, time)) as times,
       count(*) filter (where outcome <> 'dispatched' or (select count(*) from runs where event_id = e.id) <> 1) as odd,
       (select array_agg(v order by v) from (select (data ->> 'late')::float as v from events where ${inside}) l) as late
     from events e where ${inside}`,
    [from, to],
  );
  const late = kept!.late;
  const at = (share: number) => late[Math.min(late.length - 1, Math.floor(late.length * share))]!;
  const figures = (scale: number) => ({ p50: at(0.5) / scale, p99: at(0.99) / scale, most: late.at(-1)! / scale });
  return {
    ...{ ticks: kept!.ticks, expected: countTimes(options.count, from, to), twice: kept!.ticks - kept!.times },
    ...{ withoutOneRun: kept!.odd, kills, realSeconds, late: figures(1), realLate: figures(speed) },
  };
}
