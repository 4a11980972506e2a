import { z } from "zod";
import { parseDuration } from "../../base/durations.ts";
import { readCosts, readSpent } from "../../store/views/costs.ts";
import { listRefusals, readStatus } from "../../store/views/system.ts";
import type { Api } from "../auth.ts";
import { readBody, readQuery } from "../input.ts";
import { type ConsoleOptions, ownerZone } from "../options.ts";

const DAY = 86_400_000;

const SINCE = z.strictObject({
  since: z
    .string()
    .regex(/^(\d+[mhdw])+$/, 'is not a duration like "30d"')
    .transform(parseDuration)
    .refine((span) => span <= 366 * DAY, "is longer than a year")
    .default(30 * DAY),
});

/** The whole at a glance: status, costs, what was refused, doctor, STOP. */
export function systemRoutes(api: Api, options: ConsoleOptions): void {
  const { database, clock, config, actions } = options;
  const zone = ownerZone(config);

  api.get("/status", async (context) => {
    const now = clock.now();
    const [facts, spent] = await Promise.all([readStatus(database, now), readSpent(database, now, zone)]);
    const models = options.models.list();
    const problems = [
      ...models.flatMap((model) => (model.problem ? [model.problem] : [])),
      ...options.capabilities().refused.map((refused) => refused.problem),
    ];
    return context.json({
      version: options.version,
      demo: models.some((model) => model.demo),
      owner: { name: config.owner.name, zone },
      envFile: options.envFile,
      models,
      counts: facts.counts,
      approvals: facts.approvals,
      issues: facts.issues,
      today: { usd: spent.today, limitUsd: config.limits.dayUsd },
      stopped: facts.stopped,
      problems: problems.filter(
        (problem, place) => problems.findIndex(({ message }) => message === problem.message) === place,
      ),
      steps: facts.steps,
    });
  });

  api.get("/costs", async (context) => {
    const now = clock.now();
    const since = new Date(now.getTime() - readQuery(context, SINCE).since);
    const [spent, costs] = await Promise.all([
      readSpent(database, now, zone),
      readCosts(database, { since, now, zone }),
    ]);
    return context.json({
      today: { usd: spent.today, limitUsd: config.limits.dayUsd },
      month: { usd: spent.month, limitUsd: config.limits.monthUsd },
      ...costs,
    });
  });

  api.get("/refusals", async (context) => context.json({ items: await listRefusals(database), next: null }));

  api.get("/doctor", async (context) => context.json({ checks: await actions.doctor() }));

  api.put("/stop", async (context) => {
    const { stopped } = await readBody(context, z.strictObject({ stopped: z.boolean() }));
    await actions.stop(stopped);
    options.log.info(stopped ? "STOP is on" : "STOP is off", { by: context.get("login").name });
    return context.json({ stopped });
  });
}
