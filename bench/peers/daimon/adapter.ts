import { systemClock } from "../../../core/base/clock.ts";
import { createLive } from "../../../core/base/live.ts";
import { openLog } from "../../../core/base/log.ts";
import type { Context } from "../../../core/define/context.ts";
import { STRANGER } from "../../../core/define/label.ts";
import type { ContextServices } from "../../../core/runs/context.ts";
import type { RegisteredHandler } from "../../../core/runs/registered.ts";
import { DEFAULT_RETRY } from "../../../core/runs/rules.ts";
import { createRuns } from "../../../core/runs/runs.ts";
import { connect } from "../../../core/store/database.ts";
import { BODY } from "../../../core/store/keep.ts";
import { migrate } from "../../../core/store/migrate.ts";
import { openSignals } from "../../../core/store/signals.ts";
import type { Connection } from "../../postgres.ts";
import type { Adapter, Handlers, OpenEngine, OpenOptions } from "../adapter.ts";

/** Ours: the hall of core/runs on its store, wired as core/house does it, without doors. */
export const adapter: Adapter = {
  name: "daimon",
  settings: "as it comes: 100 runs at a time, 12 connections",
  async install(connection: Connection) {
    const database = connect({ ...connection, connections: 1 });
    await migrate(database).finally(() => database.close());
  },
  open,
  left: `select exists (select from runs where status = 'queued' and key is null)
    or exists (select from runs where status = 'running') as left`,
  history: fill,
  takeover: "another",
};

async function open(options: OpenOptions): Promise<OpenEngine> {
  const database = connect({ ...options.connection, connections: options.carries ? 12 : 6 });
  const heart = connect({ ...options.connection, connections: 1 });
  const log = openLog({});
  const registered = new Map(
    (["noop", "steps"] as const).map((kind) => [`bench:${kind}`, toHandler(kind, options.handlers)]),
  );
  const triggers = [...registered.keys()].map((handler) => ({
    handler,
    on: { source: "github", type: handler.slice(6) },
  }));
  const runs = createRuns({
    database,
    heart,
    handlers: { get: (name) => registered.get(name), triggers: () => triggers },
    services: () => NO_SERVICES,
    live: createLive(),
    clock: systemClock,
    log,
    allowed: { turns: 20, usd: 1, minutes: 15 },
    concurrency: 100,
    leaseMilliseconds: options.shortLease ? 2_000 : 30_000,
    roles: options.carries ? ["web", "worker"] : ["web"],
    say: (signal) => signals.say(signal),
  });
  const signals = openSignals({ connection: options.connection, database, log }, (signal) => {
    if (signal !== "live") runs.heard(signal);
  });
  if (!options.carries) await runs.start();
  const enqueue = async (kind: string, n: number) =>
    void (await runs.dispatch({ source: "github", type: kind, data: { n }, label: STRANGER }));
  return {
    start: () => runs.start(),
    stop: () => runs.stop(5_000),
    enqueue,
    async enqueueMany(kind, first, count) {
      await Promise.all(Array.from({ length: count }, (_, place) => enqueue(kind, first + place)));
    },
    async accept({ key, headers, body, parsed, alone }) {
      const request = { method: "POST", url: "/hooks/github", headers, body };
      await runs.dispatch(
        { source: "github", type: alone ? "other" : "noop", key, data: BODY, label: STRANGER, request },
        undefined,
        parsed,
      );
    },
  };
}

/** The bench's handlers ask for none. */
const NO_SERVICES = { log: openLog({}) } as Omit<ContextServices, "emit">;

function toHandler(kind: "noop" | "steps", handlers: Handlers): RegisteredHandler {
  const run = async ({ event, step }: Context<{ n: number }>) => {
    if (kind === "noop") return handlers.noop(event.data.n);
    return await handlers.steps(event.data.n, (name, code) => step.run(name, code));
  };
  return {
    name: `bench:${kind}`,
    version: "1",
    retry: DEFAULT_RETRY,
    limits: {},
    priority: 0,
    secret: () => "",
    run: run as RegisteredHandler["run"],
  };
}

/** A finished run of one step with its event each, a minute apart, all in the past. */
function fill(rows: number): readonly string[] {
  const numbered = (prefix: string) => `'${prefix}_01' || lpad(to_hex(n), 8, '0') || md5(n::text)::varchar(16)`;
  const at = `now() - interval '1 minute' * (${rows} - n + 10)`;
  return [
    `insert into events (id, source, type, key, received_at, time, outcome, integrity, privacy, method, url, headers, body)
     select ${numbered("evt")}, 'github', 'noop', md5(n::text), ${at}, ${at}, 'dispatched', 'untrusted', 'public', 'POST',
       '/hooks/github', '{"x-github-event":"push"}', convert_to('{"n":' || n || '}', 'UTF8')
     from generate_series(1, ${rows}) n`,
    `insert into runs (id, event_id, handler, version, status, max_attempts, delays, claim, integrity, result, created_at, started_at, finished_at)
     select ${numbered("run")}, ${numbered("evt")}, 'bench:noop', '1', 'completed', 8, '{5000,300000}', 1, 'untrusted', '{}', ${at}, ${at}, ${at}
     from generate_series(1, ${rows}) n`,
    `insert into steps (run_id, key, kind, status, value, attempt, integrity, started_at, finished_at)
     select ${numbered("run")}, 'one', 'code', 'completed', '{"n":1}', 1, 'untrusted', ${at}, ${at}
     from generate_series(1, ${rows}) n`,
    "vacuum analyze events, runs, steps",
    "checkpoint",
  ];
}
