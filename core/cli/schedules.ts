import type { Page, Schedule } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { change, ownerZone, type ReadOptions, showList } from "./read.ts";
import { line, paint, print, printJson, say, table, time } from "./terminal.ts";

const pathOf = (name: string): string => `/api/schedules/${encodeURIComponent(name)}`;

export const listSchedules = (options: ReadOptions) =>
  showList<Schedule>("/api/schedules", options, {
    none: "No schedules. A capability brings them: daimon list",
    columns: {
      NAME: (schedule) => line(schedule.name),
      CRON: (schedule) => line(`${schedule.cron} ${schedule.zone}`),
      NEXT: (schedule, zone) => (schedule.paused ? paint("yellow", "paused") : time(schedule.nextAt, zone)),
      LAST: (schedule, zone) => time(schedule.lastAt, zone),
      "": (schedule) => line(schedule.description ?? ""),
    },
  });

/** The next times of all schedules, or of one, soonest first. */
export async function nextTimes(name: string | undefined, options: ReadOptions) {
  const { items } = await call<Page<Schedule>>("GET", "/api/schedules");
  const times = items
    .filter((schedule) => name === undefined || schedule.name === name)
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
