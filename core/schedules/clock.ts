import type { Clock } from "../base/clock.ts";
import { nextTime } from "../base/cron.ts";
import { DaimonError } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { Schedule, Tick } from "../define/capability.ts";
import type { NewEvent } from "../define/event.ts";
import { OWNER } from "../define/label.ts";
import type { Decision } from "../runs/dispatch.ts";
import type { RegisteredHandler } from "../runs/registered.ts";
import type { Runs } from "../runs/runs.ts";
import type { Database } from "../store/database.ts";
import type { KeptEvent } from "../store/events.ts";
import { unfinishedRuns } from "../store/runs.ts";
import {
  advanceSchedule,
  deleteSchedulesExcept,
  holdDueSchedules,
  listSchedules,
  pauseSchedule,
  putSchedule,
  type ScheduleRow,
} from "../store/schedules.ts";
import { dayOf } from "../store/spend.ts";

/** A schedule under its whole name, `capability/schedule`, with the handler it starts. */
export interface RegisteredSchedule {
  readonly name: string;
  readonly schedule: Schedule;
  readonly zone: string;
  readonly handler: RegisteredHandler;
}

export interface ScheduleClock {
  /** Writes what is installed into the table. */
  sync(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  /** One look at the table: fires what is due, all in one transaction. Returns how many fired. */
  tick(): Promise<number>;
  /** Fires now, out of turn. Throws `schedule.missing`. */
  fire(name: string): Promise<KeptEvent>;
  /** Throws `schedule.missing`. */
  pause(name: string, paused: boolean): Promise<void>;
}

const POLL_MILLISECONDS = 1000;
/** A tick this late was not missed, only slow. */
const GRACE_MILLISECONDS = 60_000;
/** Missed ticks made up at most, however long nothing ran. */
const MOST_MISSED = 1000;

/**
 * The clock. The table decides, croner only computes: any number of clocks side by side hold different rows, and
 * each nominal time is the delivery key of its event, so that it fires once.
 */
export function createScheduleClock(options: {
  database: Database;
  runs: Runs;
  schedules: () => ReadonlyMap<string, RegisteredSchedule>;
  clock: Clock;
  live: Live;
  log: Log;
}): ScheduleClock {
  const { database, runs, clock } = options;
  let cancelTimer: () => void = () => {};
  let open = false;
  let current: Promise<unknown> = Promise.resolve();

  const tick = async (): Promise<number> => {
    const now = clock.now();
    const kept = await database.transaction(async (inside) => {
      const fired: KeptEvent[] = [];
      for (const row of await holdDueSchedules(inside, now, 500)) {
        const registered = options.schedules().get(row.name);
        if (!registered) continue;
        const { due, missed, next } = dueTimes(row, registered.schedule.catchup ?? "one", now);
        const events = await toEvents(inside, { ...registered, since: row.nextAt! }, due, missed);
        fired.push(...(await runs.keep(inside, events)));
        await advanceSchedule(inside, row.name, due.at(-1) ?? missed.at(-1) ?? now, next);
      }
      return fired;
    });
    runs.announce(kept);
    return kept.length;
  };

  const loop = async () => {
    try {
      await tick();
    } catch (error) {
      options.log.warn("The clock's tick failed; trying again.", { error: String(error) });
    }
    if (open) cancelTimer = clock.after(POLL_MILLISECONDS - (clock.now().getTime() % POLL_MILLISECONDS), run);
  };
  const run = () => {
    current = loop();
  };

  const find = (name: string): RegisteredSchedule => {
    const registered = options.schedules().get(name);
    if (!registered)
      throw new DaimonError("schedule.missing", `There is no schedule "${name}".`, "daimon schedules list");
    return registered;
  };

  return {
    tick,
    async sync() {
      for (const { name, schedule, zone } of options.schedules().values()) {
        await putSchedule(database, {
          name,
          cron: schedule.cron,
          zone,
          nextAt: nextTime(schedule.cron, zone, clock.now()),
        });
      }
      await deleteSchedulesExcept(database, [...options.schedules().keys()]);
    },
    start() {
      open = true;
      run();
    },
    async stop() {
      open = false;
      cancelTimer();
      await current;
    },
    async fire(name) {
      const registered = find(name);
      const event = toEvent(registered, clock.now(), "manual");
      return await runs.dispatch(event, {
        outcome: "dispatched",
        reason: null,
        runs: [{ handler: registered.handler }],
      });
    },
    async pause(name, paused) {
      const { schedule, zone } = find(name);
      const row = (await listSchedules(database)).find((one) => one.name === name);
      const nextAt = paused ? (row?.nextAt ?? null) : nextTime(schedule.cron, zone, clock.now());
      await pauseSchedule(database, name, { paused, nextAt });
      options.live.publish({ kind: "schedule", id: name, status: paused ? "paused" : "active" });
    },
  };
}

/** Which nominal times fire now, the last of those that are passed over, and when it fires next: pure. */
export function dueTimes(
  row: Pick<ScheduleRow, "cron" | "zone" | "nextAt">,
  catchup: NonNullable<Schedule["catchup"]>,
  now: Date,
): { due: Date[]; missed: Date[]; next: Date | null } {
  const times = lastTimes(row, now, catchup === "all" ? MOST_MISSED : 3);
  const last = times.at(-1);
  const next = last ? nextTime(row.cron, row.zone, last) : row.nextAt;
  if (catchup === "all") return { due: times, missed: [], next };
  const onTime = times.filter((time) => now.getTime() - time.getTime() <= GRACE_MILLISECONDS);
  const due = onTime.length > 0 ? onTime : catchup === "one" ? times.slice(-1) : [];
  return { due, missed: times.filter((time) => !due.includes(time)), next };
}

/**
 * The last `most` times from `nextAt` to now, oldest first. Only as far back as is needed: a minute holds one time
 * at most, and years in which nothing ran are not counted minute by minute.
 */
function lastTimes({ cron, zone, nextAt }: Pick<ScheduleRow, "cron" | "zone" | "nextAt">, now: Date, most: number) {
  for (let span = most * 60_000; ; span *= 4) {
    const from = now.getTime() - span;
    const whole = nextAt === null || nextAt.getTime() >= from;
    const times: Date[] = [];
    let time = whole ? nextAt : nextTime(cron, zone, new Date(from));
    for (; time && time <= now; time = nextTime(cron, zone, time)) times.push(time);
    if (whole || times.length >= most) return times.slice(-most);
  }
}

async function toEvents(
  inside: Database,
  registered: RegisteredSchedule & { readonly since: Date },
  due: readonly Date[],
  missed: readonly Date[],
): Promise<{ event: NewEvent; decision: Decision }[]> {
  const events: { event: NewEvent; decision: Decision }[] = [];
  const last = missed.at(-1);
  if (last) {
    const catchup = registered.schedule.catchup ?? "one";
    const reason = `Missed since ${registered.since.toISOString()}, while nothing ran; catchup is "${catchup}".`;
    events.push({
      event: toEvent(registered, last, "clock"),
      decision: { outcome: "skipped", reason, runs: [] },
    });
  }
  const overlap = registered.schedule.overlap ?? "skip";
  let busy = overlap === "skip" && (await unfinishedRuns(inside, registered.handler.name)).length > 0;
  for (const time of due) {
    const reason = busy ? 'The run before is not finished; overlap is "skip".' : null;
    const runs = busy
      ? []
      : [
          {
            handler: registered.handler,
            ...(overlap === "queue" ? { key: registered.name, keyLimit: 1 } : {}),
          },
        ];
    events.push({
      event: toEvent(registered, time, "clock"),
      decision: { outcome: busy ? "skipped" : "dispatched", reason, runs },
    });
    busy ||= overlap === "skip";
  }
  return events;
}

function toEvent(registered: RegisteredSchedule, nominal: Date, by: "clock" | "manual"): NewEvent {
  const time = nominal.toISOString();
  return {
    source: "schedule",
    type: registered.name,
    key: by === "clock" ? `${registered.name}@${time}` : `${registered.name}@${time}/manual`,
    time: nominal,
    data: { schedule: registered.name, nominal: time, date: dayOf(nominal, registered.zone) } satisfies Tick,
    label: OWNER,
  };
}
