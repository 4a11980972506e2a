import type { Page, Schedule, ScheduleForecast, Tick } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { change, ownerZone, query, type ReadOptions, showList } from "./read.ts";
import { dim, facts, line, paint, print, printJson, say, status, table, time } from "./terminal.ts";

const pathOf = (name: string): string => `/api/schedules/${encodeURIComponent(name)}`;

const state = (schedule: Schedule, zone: string): string => {
  if (schedule.done) return dim("done");
  return schedule.paused ? paint("yellow", "paused") : time(schedule.nextAt, zone);
};

export const listSchedules = (options: ReadOptions) =>
  showList<Schedule>(`/api/schedules${query(options)}`, options, {
    none: 'No schedules. Make one: daimon schedules add "every tuesday at 9:00" "Write the brief"',
    columns: {
      NAME: (schedule) => line(schedule.name),
      WHEN: (schedule) => line(schedule.cron ? `${schedule.cron} ${schedule.zone}` : "once"),
      NEXT: state,
      LAST: (schedule, zone) => time(schedule.lastAt, zone),
      "": (schedule) => line(schedule.text ?? schedule.description ?? ""),
    },
  });

/** One with its policy, its next five times, and what the next clock change does to it; or the next times of all. */
export async function nextTimes(name: string | undefined, options: ReadOptions) {
  if (name !== undefined) return await showNext(name, options);
  const all: Schedule[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: Page<Schedule> = await call("GET", `/api/schedules${query(cursor ? { cursor } : {})}`);
    all.push(...page.items);
    cursor = page.next;
  }
  const times = all
    .flatMap((schedule) => schedule.next.map((at) => ({ at, name: schedule.name })))
    .sort((one, other) => one.at.localeCompare(other.at));
  if (options.json) return printJson({ items: times, next: null });
  if (times.length === 0) return say("Nothing is to come.");
  const zone = await ownerZone();
  table(
    ["AT", "SCHEDULE"],
    times.map((next) => [time(next.at, zone), line(next.name)]),
  );
}

async function showNext(name: string, options: ReadOptions) {
  const schedule = await call<Schedule>("GET", pathOf(name));
  if (options.json) {
    const items = schedule.next.map((at) => ({ at, name }));
    return printJson({ items, next: null, clockChange: schedule.clockChange, schedule });
  }
  await tellTimes(schedule);
}

/** The next times in the owner's zone, and in the schedule's where that is another; then the clock change. */
async function tellTimes(forecast: ScheduleForecast & Partial<Schedule>): Promise<void> {
  const zone = await ownerZone();
  const there = forecast.zone === zone ? null : forecast.zone;
  if (forecast.paused || forecast.done) say(forecast.paused ? "It is paused." : "It is done.");
  table(
    there ? [zone, there] : [zone, ""],
    forecast.next.map((at) => [time(at, zone), there ? inZone(at, there) : ""]),
  );
  if (forecast.note) say(forecast.note);
  if (forecast.jitterMs)
    say(`Each fires ${Math.round(forecast.jitterMs / 1000)} s later, its part of ${forecast.jitter} of jitter.`);
  if (forecast.clockChange) say(forecast.clockChange);
  if (forecast.catchup) {
    facts([
      ["missed", `${forecast.catchup}, within ${forecast.window}`],
      ["overlap", forecast.overlap],
      ["told", `after ${forecast.onFailure?.after} failed in a row`],
    ]);
  }
}

const inZone = (at: string, zone: string): string =>
  new Date(at).toLocaleString("en-GB", { timeZone: zone, dateStyle: "medium", timeStyle: "short" });

/** As commander hands them over. */
interface PolicyOptions extends ReadOptions {
  readonly name?: string;
  readonly zone?: string;
  readonly agent?: string;
  readonly catchup?: string;
  readonly window?: string;
  readonly overlap?: string;
  readonly jitter?: string;
  readonly after?: number;
  readonly quietRecovery?: boolean;
  readonly dryRun?: boolean;
  readonly when?: string;
  readonly text?: string;
}

const wishOf = ({ json, after, quietRecovery, dryRun, ...rest }: PolicyOptions) => ({
  ...rest,
  ...(after ? { onFailure: { after } } : {}),
  ...(quietRecovery ? { onRecovery: false } : {}),
});

async function create(wish: { when: string; text: string; zone?: string }, options: PolicyOptions): Promise<void> {
  if (options.dryRun) {
    const { when, zone } = wish;
    const preview = await call<ScheduleForecast>("POST", "/api/schedules/previews", { when, zone });
    return options.json ? printJson(preview) : await tellTimes(preview);
  }
  await change<Schedule & ScheduleForecast>(["POST", "/api/schedules", wish], options, async (schedule) => {
    print(schedule.name);
    await tellTimes(schedule);
  });
}

/** An agent is asked the text then, and its answer told. */
export const addSchedule = (when: string, text: string, options: PolicyOptions) =>
  create({ agent: "default", ...wishOf(options), when, text }, options);

/** The text is told then. */
export const remind = (when: string, text: string, options: PolicyOptions) =>
  create({ ...wishOf(options), when, text }, options);

export const editSchedule = (name: string, options: PolicyOptions) =>
  change<Schedule & ScheduleForecast>(["PATCH", pathOf(name), wishOf(options)], options, tellTimes);

export async function removeSchedule(name: string): Promise<void> {
  await call("DELETE", pathOf(name));
  say(`${name} is removed.`);
}

/** Its ticks, newest first: when each was meant, when it fired, and what became of it. */
export const showTicks = (name: string, { json, ...page }: ReadOptions) =>
  showList<Tick>(`${pathOf(name)}/ticks${query(page)}`, json ? { json } : {}, {
    none: "It has not fired yet.",
    columns: {
      FOR: (tick, zone) => inZone(tick.nominal, zone),
      FIRED: (tick, zone) => time(tick.firedAt, zone),
      LATE: (tick) => (tick.manual ? "by hand" : `${(tick.lateMs / 1000).toFixed(1)} s`),
      OUTCOME: (tick) => status(tick.outcome),
      "": (tick) => line(tick.reason ?? tick.runs.map((run) => `${run.id} ${run.status}`).join(", ")),
    },
  });

export const fireSchedule = (name: string, options: ReadOptions) =>
  change<{ runIds: string[] }>(["POST", `${pathOf(name)}/runs`], options, ({ runIds }) => {
    runIds.forEach(print);
    say(runIds[0] ? `Next: daimon runs watch ${runIds[0]}` : "No run was queued.");
  });

const setPaused = (name: string, paused: boolean, options: ReadOptions) =>
  change<Schedule>(["PATCH", pathOf(name), { paused }], options, async ({ nextAt }) =>
    say(paused ? `${name} is paused.` : `${name} goes on; next ${time(nextAt, await ownerZone())}.`),
  );

export const pauseSchedule = (name: string, options: ReadOptions) => setPaused(name, true, options);
export const resumeSchedule = (name: string, options: ReadOptions) => setPaused(name, false, options);
