import { urlOf } from "../../postgres.ts";
import type { Adapter, OpenEngine, OpenOptions } from "../adapter.ts";
import { eventValues, JOURNAL, KEEP_EVENT, KEEP_EVENTS, manyEventValues, openJournal, openPool } from "../events.ts";

/** What we use of the package: https://worker.graphile.org/docs */
interface Graphile {
  run(options: object): Promise<{ stop(): Promise<void> }>;
  runMigrations(options: object): Promise<void>;
  Logger: new (factory: () => () => void) => object;
}

interface Helpers {
  readonly job: { readonly id: string };
}

const PACKAGE = "graphile-worker";
const load = async (): Promise<Graphile> => (await import(PACKAGE)) as Graphile;

/** A row for each that is done, as one would write it who wants to know later what was done. */
const DONE = `create table if not exists bench_done
  (id text primary key, handler text not null, status text not null, result jsonb, finished_at timestamptz not null default now())`;
const KEEP_DONE = "insert into bench_done (id, handler, status, result) values ($1, $2, 'completed', $3)";

export const adapter: Adapter = createAdapter({ keepsHistory: false });

/** `keepsHistory`: the handler keeps a row of what it did, which this engine itself deletes. */
export function createAdapter(options: { keepsHistory: boolean }): Adapter {
  return {
    name: `graphile-worker 0.18.0${options.keepsHistory ? ", a row kept of what is done" : ""}`,
    settings: options.keepsHistory
      ? "the same; each handler inserts a row of what it did"
      : "local queue of 500, 100 jobs at a time, completions batched (completeJobBatchDelay 0), 20 connections; " +
        "one statement for event and job (its SQL function add_job, add_jobs for many)",
    async install(connection) {
      const { runMigrations } = await load();
      await runMigrations({ connectionString: urlOf(connection), ...(await quiet()) });
      const pool = openPool(connection, 1);
      await pool.query(JOURNAL);
      await pool.query(DONE);
      await pool.end();
    },
    open: (how) => open(how, options.keepsHistory),
    left: "select exists (select from graphile_worker._private_jobs) as left",
    history: options.keepsHistory
      ? (rows) => [
          `insert into bench_done (id, handler, status, result) select 'past ' || n, 'noop', 'completed', '{}' from generate_series(1, ${rows}) n`,
          "vacuum analyze",
          "checkpoint",
        ]
      : "deletes a job that is done: keeps no history",
    takeover: options.keepsHistory
      ? "as above"
      : "4 hours until the lock of a dead process ends (its Worker Pro, or forceUnlockWorkers called with the dead one's id, is sooner)",
  };
}

async function open(options: OpenOptions, keepsHistory: boolean): Promise<OpenEngine> {
  const graphile = await load();
  const { connection, handlers } = options;
  const pool = openPool(connection, Math.max(20, options.acceptConnections));
  const done = (helpers: Helpers, handler: string, result: object) =>
    pool.query({ name: "done", text: KEEP_DONE, values: [helpers.job.id, handler, JSON.stringify(result)] });
  const taskList = {
    async noop(payload: { n: number }, helpers: Helpers) {
      handlers.noop(payload.n);
      if (keepsHistory) await done(helpers, "noop", {});
    },
    async steps(payload: { n: number }, helpers: Helpers) {
      const result = await handlers.steps(payload.n, await openJournal(pool, helpers.job.id));
      if (keepsHistory) await done(helpers, "steps", result);
    },
  };
  let runner: { stop(): Promise<void> } | undefined;
  return {
    async start() {
      runner = await graphile.run({
        preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
        pgPool: pool,
        concurrency: 100,
        taskList,
        noHandleSignals: true,
        ...(await quiet()),
      });
    },
    stop: async () => await runner?.stop(),
    async enqueue(kind, n) {
      await pool.query({
        name: "add-job",
        text: "select id from graphile_worker.add_job($1, json_build_object('n', $2::integer))",
        values: [kind, n],
      });
    },
    async enqueueMany(kind, first, count) {
      await pool.query(
        `select count(*) from graphile_worker.add_jobs(array(
           select ($1, json_build_object('n', n), null, null, null, null, null, null)::graphile_worker.job_spec
           from generate_series($2::integer, $3::integer) n))`,
        [kind, first, first + count - 1],
      );
    },
    async accept(arrival) {
      await pool.query({
        name: "accept",
        text: `with kept as (${KEEP_EVENT} returning id)
          select (graphile_worker.add_job('noop', json_build_object('n', $5::integer, 'event', id))).id from kept`,
        values: [...eventValues(arrival), arrival.n],
      });
    },
    async acceptMany(arrivals) {
      await pool.query({
        name: "accept-many",
        text: `with kept as (${KEEP_EVENTS} returning id)
          select count(*) from graphile_worker.add_jobs((select array_agg(
            ('noop', json_build_object('n', 0, 'event', id), null, null, null, null, null, null)::graphile_worker.job_spec) from kept))`,
        values: manyEventValues(arrivals),
      });
    },
  };
}

async function quiet() {
  const { Logger } = await load();
  return { logger: new Logger(() => () => {}) };
}
