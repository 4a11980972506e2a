import type { Clock } from "../base/clock.ts";
import { nextTime } from "../base/cron.ts";
import { DaimonError } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import { createLoop } from "../base/loop.ts";
import { toWall, wallWords } from "../base/zones.ts";
import type { Schedule, Tick } from "../define/capability.ts";
import type { NewEvent } from "../define/event.ts";
import type { Decision } from "../runs/dispatch.ts";
import type { RegisteredHandler } from "../runs/registered.ts";
import type { Runs } from "../runs/runs.ts";
import type { Database } from "../store/database.ts";
import type { KeptEvent } from "../store/keep.ts";
import {
  findSchedule,
  holdDueSchedules,
  moveSchedules,
  pauseSchedule,
  type ScheduleMove,
  type ScheduleRow,
  syncSchedules,
  unfinishedRuns,
  watchRuns,
} from "../store/schedules.ts";
import { jitterOf, planTicks, wholePolicy } from "./due.ts";
import { settleRuns, type TellOwner } from "./settle.ts";

/** A schedule of a capability under its whole name, `capability/schedule`. */
export interface RegisteredSchedule {
  readonly name: string;
  readonly schedule: Schedule;
  readonly zone: string;
}

export interface ScheduleClock {
  /** Writes what is installed into the table. */
  sync(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  /** Fires what is due, some hundred schedules in one transaction each. Returns how many events were kept. */
  tick(): Promise<number>;
  /** Counts the ends of runs, and tells the owner of failures and recoveries. */
  settle(): Promise<void>;
  /** Fires now, out of turn. Throws `schedule.missing`. */
  fire(name: string): Promise<KeptEvent>;
  /** Throws `schedule.missing`. */
  pause(name: string, paused: boolean): Promise<void>;
}

export interface ScheduleClockOptions {
  readonly database: Database;
  readonly runs: Runs;
  readonly schedules: () => ReadonlyMap<string, RegisteredSchedule>;
  /** The handler `schedule:<name>`. */
  readonly handler: (name: string) => RegisteredHandler | undefined;
  /** Keeps a message to the owner. */
  readonly tell: TellOwner;
  readonly clock: Clock;
  readonly live: Live;
  readonly log: Log;
}

const POLL_MILLISECONDS = 1000;
/** The ends of runs are counted at each so manieth look. */
const SETTLE_EVERY = 5;
/** Schedules in one transaction. */
const MOST_ROWS = 1000;
/** A schedule whose code is not installed here is looked at again after this: another process may have it. */
const STRANGE_MILLISECONDS = 60_000;
/** Done reminders are shown so long. */
const DONE_MILLISECONDS = 30 * 86_400_000;

/**
 * The clock. The table decides, croner only computes: any number of clocks side by side hold different rows, and
 * each nominal time is the delivery key of its event, so that it fires once.
 */
export function createScheduleClock(options: ScheduleClockOptions): ScheduleClock {
  const { database, runs, clock, live } = options;
  let looks = 0;

  const tick = async (): Promise<number> => {
    const now = clock.now();
    let count = 0;
    for (let full = true; full; ) {
      const done = await database.transaction((inside) => fireDue(inside, options, now));
      runs.announce(done.kept);
      // What asks a running worker to stop is said after the commit, and again at the next look if this is lost.
      for (const id of done.canceled) await runs.cancel(id);
      count += done.kept.length;
      full = done.rows === MOST_ROWS;
    }
    return count;
  };

  const settle = () => settleRuns(options);

  const look = async () => {
    try {
      await tick();
      if (looks++ % SETTLE_EVERY === 0) await settle();
    } catch (error) {
      options.log.warn("The clock's tick failed; trying again.", { error: String(error) });
    }
  };
  const untilNextLook = () => POLL_MILLISECONDS - (clock.now().getTime() % POLL_MILLISECONDS);

  const find = async (name: string): Promise<ScheduleRow> => {
    const row = await findSchedule(database, name);
    if (row) return row;
    throw new DaimonError("schedule.missing", `There is no schedule "${name}".`, "daimon schedules list");
  };

  return {
    tick,
    settle,
    async sync() {
      const now = clock.now();
      const installed = [...options.schedules().values()].map(({ name, schedule, zone }) => {
        const policy = wholePolicy(schedule);
        const nextAt = nextTime(schedule.cron, zone, now);
        const { cron, description = null } = schedule;
        return { name, description, cron, zone, policy, nextAt, dueAt: dueAt(name, policy, nextAt) };
      });
      await syncSchedules(database, installed, new Date(now.getTime() - DONE_MILLISECONDS));
    },
    ...createLoop(clock, look, untilNextLook),
    async fire(name) {
      const row = await find(name);
      const handler = options.handler(name);
      if (!handler) throw new DaimonError("schedule.missing", `No installed capability has the schedule "${name}".`);
      const now = clock.now();
      const event = { ...toEvent(row, now, 0), key: `${keyOf(name, now)}/manual` };
      const kept = await database.transaction(async (inside) => {
        const [one] = await runs.keep(inside, [
          { event, decision: { outcome: "dispatched", reason: null, runs: [{ handler }] } },
        ]);
        await watchRuns(inside, name, one!.runIds);
        return one!;
      });
      runs.announce([kept]);
      return kept;
    },
    async pause(name, paused) {
      const { cron, zone, nextAt, policy, paused: before } = await find(name);
      const next = paused || !before || cron === null ? nextAt : nextTime(cron, zone, clock.now());
      await pauseSchedule(database, name, { paused, nextAt: next, dueAt: dueAt(name, policy, next) });
      live.publish({ kind: "schedule", id: name, status: paused ? "paused" : "active" });
    },
  };
}

/** When a nominal time is due: with the schedule's jitter. */
export function dueAt(name: string, policy: ScheduleRow["policy"], nextAt: Date | null): Date | null {
  return nextAt && new Date(nextAt.getTime() + jitterOf(name, policy));
}

interface Fired {
  readonly rows: number;
  readonly kept: readonly KeptEvent[];
  /** Runs that newer ticks take the place of. */
  readonly canceled: readonly string[];
}

/** Events, runs and next times of what is due at `now`: one statement each, however many there are. */
async function fireDue(inside: Database, options: ScheduleClockOptions, now: Date): Promise<Fired> {
  const rows = await holdDueSchedules(inside, now, MOST_ROWS);
  if (rows.length === 0) return { rows: 0, kept: [], canceled: [] };
  const alone = rows.filter(({ policy }) => policy.overlap !== "allow");
  const unfinished = await unfinishedRuns(
    inside,
    alone.map(({ name }) => handlerOf(name)),
  );
  const planned = rows.map((row) => planRow(row, options.handler(row.name), { unfinished, now }));
  const kept = await options.runs.keep(
    inside,
    planned.flatMap(({ events }) => events),
  );
  const rest = kept.values();
  const moves = planned.map(({ move, events }): ScheduleMove => {
    return { ...move, runIds: [...rest.take(events.length)].flatMap((one) => (one.duplicate ? [] : one.runIds)) };
  });
  await moveSchedules(inside, moves);
  return { rows: rows.length, kept, canceled: planned.flatMap(({ canceled }) => canceled) };
}

type Planned = {
  readonly events: readonly { event: NewEvent; decision: Decision }[];
  readonly move: Omit<ScheduleMove, "runIds">;
  readonly canceled: readonly string[];
};

function planRow(
  row: ScheduleRow,
  handler: RegisteredHandler | undefined,
  at: { unfinished: ReadonlyMap<string, readonly string[]>; now: Date },
): Planned {
  const { name, nextAt, heldAt } = row;
  if (!handler) {
    const later = new Date(at.now.getTime() + STRANGE_MILLISECONDS);
    return { events: [], move: { name, nextAt, heldAt, lastAt: null, dueAt: later }, canceled: [] };
  }
  const jitter = jitterOf(name, row.policy);
  const busy = at.unfinished.get(handlerOf(name)) ?? [];
  const now = new Date(at.now.getTime() - jitter);
  const waited = nextAt !== null && row.dueAt !== null && row.dueAt.getTime() > nextAt.getTime() + jitter;
  const plan = planTicks(row, row.policy, { busy: busy.length > 0, waited, now });
  const late = (time: Date) => now.getTime() - time.getTime();
  const skipped = plan.skipped.map(({ time, reason }) => ({
    event: toEvent(row, time, late(time)),
    decision: { outcome: "skipped", reason, runs: [] } as const,
  }));
  const fired = plan.fire.map((time) => ({
    event: toEvent(row, time, late(time)),
    decision: { outcome: "dispatched", reason: null, runs: [{ handler }] } as const,
  }));
  const waits = plan.held !== null || (plan.next !== null && plan.next <= now);
  const soon = new Date(at.now.getTime() + POLL_MILLISECONDS);
  const lastAt = [...plan.fire, ...plan.skipped.map(({ time }) => time)].reduce<Date | null>(
    (last, time) => (last && last > time ? last : time),
    null,
  );
  return {
    events: [...skipped, ...fired],
    move: {
      name,
      lastAt,
      nextAt: plan.next,
      heldAt: plan.held,
      dueAt: waits ? soon : dueAt(name, row.policy, plan.next),
    },
    canceled: plan.cancel ? busy : [],
  };
}

const handlerOf = (name: string) => `schedule:${name}`;
const keyOf = (name: string, nominal: Date) => `${name}@${nominal.toISOString()}`;

function toEvent(row: ScheduleRow, nominal: Date, late: number): NewEvent {
  const { name, zone, agent, text, conversationId } = row;
  const wall = toWall(zone, nominal);
  const tick: Tick = {
    schedule: name,
    nominal: nominal.toISOString(),
    date: wall.toISOString().slice(0, 10),
    words: wallWords(wall),
    late: Math.max(0, late),
  };
  return {
    source: "schedule",
    type: name,
    key: keyOf(name, nominal),
    time: nominal,
    data: text === null ? tick : { ...tick, agent, text, conversation: conversationId },
    label: row.label,
  };
}
