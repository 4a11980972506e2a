import { Hono } from "hono";
import { z } from "zod";
import { nextTime } from "../../base/cron.ts";
import type { Schedule } from "../../define/capability.ts";
import { listSchedules as listStates, type ScheduleRow } from "../../store/schedules.ts";
import type { ConsoleEnv } from "../auth.ts";
import { present, readBody } from "../input.ts";
import { type ConsoleOptions, ownerZone } from "../options.ts";

interface ScheduleView {
  readonly name: string;
  readonly description: string | null;
  readonly cron: string;
  readonly zone: string;
  readonly nextAt: Date | null;
  readonly next: readonly Date[];
  readonly lastAt: Date | null;
  readonly paused: boolean;
}

/** Schedules of what is installed, firing and pausing them. */
export function scheduleRoutes(options: ConsoleOptions): Hono<ConsoleEnv> {
  const { actions } = options;
  const app = new Hono<ConsoleEnv>();
  app.get("/schedules", async (context) => context.json({ items: await listSchedules(options), next: null }));

  app.post("/schedules/:name/runs", async (context) => {
    const { name } = await findSchedule(options, context.req.param("name"));
    const { eventId, runIds } = await actions.fireSchedule(name);
    return context.json({ eventId, runIds }, 202);
  });

  app.patch("/schedules/:name", async (context) => {
    const { paused } = await readBody(context, z.object({ paused: z.boolean() }));
    const { name } = await findSchedule(options, context.req.param("name"));
    await actions.pauseSchedule(name, paused);
    return context.json(await findSchedule(options, name));
  });
  return app;
}

async function findSchedule(options: ConsoleOptions, name: string): Promise<ScheduleView> {
  const found = (await listSchedules(options)).find((schedule) => schedule.name === name);
  return present(found, "schedule", name);
}

async function listSchedules(options: ConsoleOptions): Promise<ScheduleView[]> {
  const states = new Map((await listStates(options.database)).map((state) => [state.name, state]));
  const now = options.clock.now();
  return options.capabilities().installed.flatMap(({ capability }) =>
    (capability.schedules ?? []).map((schedule) => {
      const name = `${capability.name}/${schedule.name}`;
      return toView(name, schedule, states.get(name), schedule.zone ?? ownerZone(options.config), now);
    }),
  );
}

function toView(
  name: string,
  schedule: Schedule,
  state: ScheduleRow | undefined,
  zone: string,
  now: Date,
): ScheduleView {
  const paused = state?.paused ?? false;
  const next: Date[] = [];
  for (let time = nextTime(schedule.cron, zone, now); time && next.length < 5 && !paused; ) {
    next.push(time);
    time = nextTime(schedule.cron, zone, time);
  }
  return {
    name,
    description: schedule.description ?? null,
    cron: schedule.cron,
    zone,
    nextAt: paused ? null : (state?.nextAt ?? next[0] ?? null),
    next,
    lastAt: state?.lastAt ?? null,
    paused,
  };
}
