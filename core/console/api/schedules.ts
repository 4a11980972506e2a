import { z } from "zod";
import { OWNER } from "../../define/label.ts";
import { jitterOf } from "../../schedules/due.ts";
import { forecast, type ScheduleWish } from "../../schedules/schedules.ts";
import { findSchedule, listSchedules, type ScheduleRow } from "../../store/schedules.ts";
import { listTicks } from "../../store/views/schedules.ts";
import type { Api } from "../auth.ts";
import { LIMIT, page, present, readBody, readQuery, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const POLICY = {
  catchup: z.enum(["none", "one", "all"]),
  window: text(50),
  overlap: z.enum(["skip", "queue", "allow", "cancel"]),
  jitter: text(50),
  onFailure: z.strictObject({ after: z.int().min(1).max(1000) }),
  onRecovery: z.boolean(),
};
const BY_NAME = z.strictObject({ cursor: text(100).optional(), limit: LIMIT.default(200) });
const TIME = { when: text(200), zone: text(100) };
const SAID = { text: text(10_000).min(1, "must not be empty"), agent: text(100).nullable(), description: text(500) };
const NAME = text(60).regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must be small letters, digits and single dashes");
const CHANGE = z.strictObject({ ...TIME, ...SAID, ...POLICY }).partial();
const NEW = CHANGE.extend({ when: TIME.when, text: SAID.text, name: NAME.optional() });

/** Schedules: those of capabilities, and those that were made with words; what they did and will do. */
export function scheduleRoutes(api: Api, options: ConsoleOptions): void {
  const { actions, database, clock } = options;
  const find = async (name: string) => present(await findSchedule(database, name), "schedule", name);
  const show = (row: ScheduleRow) => toView(row, clock.now());

  api.get("/schedules", async (context) => {
    const { cursor, limit } = readQuery(context, BY_NAME);
    const rows = await listSchedules(database, { after: cursor, most: limit + 1 });
    const next = rows.length > limit ? rows[limit - 1]!.name : null;
    return context.json({ items: rows.slice(0, limit).map(show), next });
  });

  api.post("/schedules", async (context) => {
    const wish = await readBody(context, NEW);
    const maker = { origin: "owner", conversationId: null, label: OWNER } as const;
    const { note, ...row } = await actions.schedules.add(wish as ScheduleWish, maker);
    return context.json({ ...show(row), note }, 201);
  });

  api.post("/schedules/previews", async (context) => {
    const { when, zone } = await readBody(context, z.strictObject({ when: TIME.when, zone: TIME.zone.optional() }));
    return context.json(actions.schedules.preview(when, zone));
  });

  api.get("/schedules/:name", async (context) => context.json(show(await find(context.req.param("name")))));

  api.patch("/schedules/:name", async (context) => {
    const { paused, ...change } = await readBody(context, CHANGE.extend({ paused: z.boolean().optional() }));
    const { name } = await find(context.req.param("name"));
    const changes = Object.keys(change).length > 0;
    const note = changes ? (await actions.schedules.change(name, change as Partial<ScheduleWish>)).note : null;
    if (paused !== undefined) await actions.pauseSchedule(name, paused);
    return context.json({ ...show(await find(name)), note });
  });

  api.delete("/schedules/:name", async (context) => {
    await actions.schedules.remove(context.req.param("name"));
    return context.body(null, 204);
  });

  api.post("/schedules/:name/runs", async (context) => {
    const { name } = await find(context.req.param("name"));
    const { eventId, runIds } = await actions.fireSchedule(name);
    return context.json({ eventId, runIds }, 202);
  });

  api.get("/schedules/:name/ticks", async (context) => {
    const { name } = await find(context.req.param("name"));
    return context.json(await listTicks(database, { name, ...readQuery(context, page("evt")) }));
  });
}

/** A schedule as it is shown. */
export type ScheduleView = ReturnType<typeof toView>;

function toView(row: ScheduleRow, now: Date) {
  const { policy, label, conversationId, nextAt, dueAt, ...rest } = row;
  const { next, clockChange } = row.paused ? { next: [], clockChange: null } : forecast(row, now);
  return {
    ...rest,
    ...policy,
    label,
    nextAt: row.paused ? null : nextAt,
    next,
    clockChange,
    jitterMs: jitterOf(row.name, policy),
    done: row.cron === null && nextAt === null,
  };
}
