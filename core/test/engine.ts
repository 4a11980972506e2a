import type { TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { createLive, type Live } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import type { Context } from "../define/context.ts";
import { STRANGER } from "../define/label.ts";
import type { Run, Step } from "../define/run.ts";
import type { ContextServices } from "../runs/context.ts";
import type { RegisteredHandler, RegisteredTrigger } from "../runs/registered.ts";
import { createRuns, type Runs, type RunsOptions } from "../runs/runs.ts";
import type { Database } from "../store/database.ts";
import { testDatabase } from "./database.ts";

/** A test whose handlers use the hub, agents or messages gives its own. */
const NO_SERVICES = { log: openLog({}) } as Omit<ContextServices, "emit" | "limits">;

/** A handler by its name, run on every event whose type is that name. */
export type TestHandler = Partial<Omit<RegisteredHandler, "run">> & {
  readonly run: (context: Context<Record<string, unknown>>) => Promise<unknown>;
};

export interface Engine {
  readonly runs: Runs;
  readonly database: Database;
  readonly live: Live;
  readonly handlers: Record<string, TestHandler>;
  /** Keeps an event of source `test`, and returns its first run's id. */
  send(type: string, data?: object): Promise<string>;
  /** The run, as soon as it has one of these statuses (default: finished). Fails after 10 s. */
  until(runId: string, ...statuses: string[]): Promise<Run & { steps: Step[] }>;
}

/** The hall alone, on a real database: real runs, no doors. */
export async function testEngine(
  t: TestContext,
  handlers: Record<string, TestHandler>,
  options: Partial<RunsOptions> & { services?: () => Omit<ContextServices, "emit" | "limits">; idle?: boolean } = {},
): Promise<Engine> {
  const database = options.database ?? (await testDatabase(t)).database;
  const live = createLive();
  const triggers = (): RegisteredTrigger[] =>
    Object.keys(handlers).map((type) => ({ handler: type, on: { source: "test", type } }));
  const runs = createRuns({
    database,
    handlers: { get: (name) => (handlers[name] ? toHandler(name, handlers[name]) : undefined), triggers },
    services: () => NO_SERVICES,
    live,
    clock: systemClock,
    log: openLog({}),
    allowed: { turns: 10, usd: 1, minutes: 10 },
    concurrency: 20,
    leaseMilliseconds: 2000,
    roles: ["worker"],
    say: () => {},
    ...options,
  });
  if (!options.idle) {
    await runs.start();
    t.after(() => runs.stop(500));
  }
  return {
    runs,
    database,
    live,
    handlers,
    async send(type, data = {}) {
      const kept = await runs.dispatch({ source: "test", type, data, label: STRANGER });
      return kept.runIds[0]!;
    },
    until: (runId, ...statuses) =>
      until(database, runId, statuses.length > 0 ? statuses : ["completed", "failed", "canceled"]),
  };
}

function toHandler(name: string, handler: TestHandler): RegisteredHandler {
  return {
    name,
    version: "1",
    retry: { attempts: 3, delays: [20, 40] },
    limits: {},
    priority: 0,
    secret: () => "",
    ...handler,
    run: handler.run as RegisteredHandler["run"],
  };
}

async function until(database: Database, runId: string, statuses: readonly string[]): Promise<Run & { steps: Step[] }> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [run] = await database.query<Run>(
      `select *, parent_id as "parentId", wake_at as "wakeAt", (select json_agg(s order by s.finished_at, s.key) from steps s where s.run_id = r.id) as steps
       from runs r where id = $1`,
      [runId],
    );
    if (run && statuses.includes(run.status)) return { ...run, steps: (run as { steps?: Step[] }).steps ?? [] };
    if (Date.now() > deadline) throw new Error(`The run is ${run?.status} after 10 s: ${JSON.stringify(run)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
