import type { Clock } from "../base/clock.ts";
import { clockChange } from "../base/clock-change.ts";
import { nextTime, nextTimes } from "../base/cron.ts";
import { DaimonError, unknownName } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import { parseWhen } from "../base/when.ts";
import { checkZone } from "../base/zones.ts";
import type { SchedulePolicy } from "../define/capability.ts";
import type { Label } from "../define/label.ts";
import type { Database } from "../store/database.ts";
import {
  addSchedule,
  changeSchedule,
  countSchedules,
  findSchedule,
  type MadeSchedule,
  removeSchedule,
  type ScheduleRow,
} from "../store/schedules.ts";
import { dueAt } from "./clock.ts";
import { wholePolicy } from "./due.ts";

/** What is asked for in words. */
export interface ScheduleWish extends SchedulePolicy {
  /** Words or five cron fields; see docs/how-to/add-a-schedule.md. */
  readonly when: string;
  /** What the agent is asked; without an agent, what the owner is told. */
  readonly text: string;
  readonly agent?: string | null;
  /** Default: the first words of the text. */
  readonly name?: string;
  readonly description?: string;
  /** IANA zone. Default: the owner's. */
  readonly zone?: string;
}

/** Whose it is: what runs inherits the label, and is told in the conversation. */
export interface ScheduleMaker {
  readonly origin: "owner" | "agent";
  readonly conversationId: string | null;
  readonly label: Label;
}

/** When a schedule fires, to be looked at before and after it is made. */
export interface Forecast {
  readonly cron: string | null;
  readonly zone: string;
  /** The next five nominal times. */
  readonly next: readonly Date[];
  /** What the next change of the clocks does to it; null where there is none. */
  readonly clockChange: string | null;
  /** Says when a moment is not quite the one that was written. */
  readonly note: string | null;
}

/** Making, changing and removing schedules that no capability brings. */
export interface Schedules {
  /** Throws what `parseWhen` throws. */
  preview(when: string, zone?: string): Forecast;
  /** Throws also `schedule.taken`, `schedule.many`, `agent.missing`, `duration.invalid`. */
  add(wish: ScheduleWish, maker: ScheduleMaker): Promise<ScheduleRow & Pick<Forecast, "note">>;
  /** Throws also `schedule.missing`, and `schedule.code` for one that a capability brings. */
  change(name: string, change: Partial<ScheduleWish>): Promise<ScheduleRow & Pick<Forecast, "note">>;
  remove(name: string): Promise<void>;
}

/** An agent that makes schedules in a circle is stopped here. */
const MOST_OF_AGENTS = 100;

export function createSchedules(options: {
  database: Database;
  clock: Clock;
  live: Live;
  /** The owner's. */
  zone: string;
  agents: () => readonly string[];
}): Schedules {
  const { database, live } = options;
  const readWhen = (when: string, zone: string) => {
    const now = options.clock.now();
    checkZone(zone);
    const found = parseWhen(when, { zone, now });
    if ("at" in found) return { cron: null, nextAt: found.at, note: found.note };
    return { cron: found.cron, nextAt: nextTime(found.cron, zone, now), note: null };
  };
  const checkAgent = (agent: string | null) => {
    if (agent === null || options.agents().includes(agent)) return;
    throw unknownName("agent.missing", `agent "${agent}"`, options.agents());
  };
  const findMade = async (name: string): Promise<ScheduleRow> => {
    const row = await findSchedule(database, name);
    if (!row) throw new DaimonError("schedule.missing", `There is no schedule "${name}".`, "daimon schedules list");
    if (row.origin !== "code") return row;
    const message = `The schedule ${name} comes with a capability: it can be paused, but not changed or removed here.`;
    throw new DaimonError("schedule.code", message, `daimon schedules pause ${name}`);
  };
  const written = async (name: string, note: string | null) => {
    live.publish({ kind: "schedule", id: name });
    return { ...(await findSchedule(database, name))!, note };
  };

  return {
    preview(when, zone = options.zone) {
      const { cron, nextAt, note } = readWhen(when, zone);
      return { ...forecast({ cron, zone, nextAt }, options.clock.now()), note };
    },
    async add(wish, maker) {
      const { zone = options.zone, agent = null, text, description = null } = wish;
      checkAgent(agent);
      const { note, ...time } = readWhen(wish.when, zone);
      if (maker.origin === "agent" && (await countSchedules(database, "agent")) >= MOST_OF_AGENTS) {
        const message = `Agents have made ${MOST_OF_AGENTS} schedules, and may not make more.`;
        throw new DaimonError("schedule.many", message, "Remove some: daimon schedules remove");
      }
      const policy = wholePolicy(wish);
      const base = wish.name ?? slugOf(text);
      for (let count = 1; ; count++) {
        const name = count === 1 ? base : `${base}-${count}`;
        const made: MadeSchedule = { ...maker, ...time, zone, policy, agent, text, description, name, dueAt: null };
        if (await addSchedule(database, { ...made, dueAt: dueAt(name, policy, made.nextAt) }))
          return await written(name, note);
        if (wish.name)
          throw new DaimonError("schedule.taken", `There is a schedule "${name}" already.`, "Take another name.");
      }
    },
    async change(name, change) {
      const row = await findMade(name);
      const { when, agent = row.agent, zone = row.zone, text = row.text, description = row.description } = change;
      checkAgent(agent);
      if (zone !== row.zone && when === undefined && row.cron === null) {
        throw new DaimonError("when.invalid", "In another zone it is another time.", "Say when, too.");
      }
      const again = when ?? (zone === row.zone ? undefined : row.cron!);
      const { note, ...time } = again === undefined ? { ...row, note: null } : readWhen(again, zone);
      const policy = wholePolicy({ ...row.policy, ...windowOf(change), ...change });
      const { cron, nextAt } = time;
      await changeSchedule(database, {
        ...{ ...row, agent, zone, text, description, cron, nextAt, policy },
        dueAt: dueAt(name, policy, nextAt),
      });
      return await written(name, note);
    },
    async remove(name) {
      await findMade(name);
      await removeSchedule(database, name);
      live.publish({ kind: "schedule", id: name, status: "removed" });
    },
  };
}

/** Another catch-up has another default window. */
const windowOf = ({ catchup, window }: SchedulePolicy): SchedulePolicy =>
  catchup && window === undefined ? { window: wholePolicy({ catchup }).window } : {};

/** When it fires from `now` on. */
export function forecast(row: Pick<ScheduleRow, "cron" | "zone" | "nextAt">, now: Date): Omit<Forecast, "note"> {
  const { cron, zone, nextAt } = row;
  if (cron === null) return { cron, zone, next: nextAt ? [nextAt] : [], clockChange: null };
  return { cron, zone, next: nextTimes(cron, zone, now, 5), clockChange: clockChange(cron, zone, now)?.text ?? null };
}

/** `call-ana-about-the-lease`: the first words, as a name. */
function slugOf(text: string): string {
  const words = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9\s-]/g, "")
    .split(/[\s-]+/)
    .filter(Boolean);
  return words.slice(0, 5).join("-").slice(0, 40).replace(/-$/, "") || "schedule";
}
