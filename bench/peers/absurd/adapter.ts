import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { ask } from "../../postgres.ts";
import type { Adapter, Kind, OpenEngine, OpenOptions } from "../adapter.ts";
import { eventValues, KEEP_EVENT, KEEP_EVENTS, manyEventValues, openPool } from "../events.ts";

interface Steps {
  step(name: string, code: () => Promise<object>): Promise<unknown>;
}

/** What we use of the package: https://earendil-works.github.io/absurd/ */
interface Client {
  registerTask(options: object, handler: (parameters: { n: number }, steps: Steps) => Promise<unknown>): void;
  createQueue(name: string): Promise<void>;
  spawn(name: string, parameters: object, options?: object): Promise<unknown>;
  startWorker(options: object): Promise<{ close(): Promise<void> }>;
}

const PACKAGE = "absurd-sdk";
const load = async () => (await import(PACKAGE)) as { Absurd: new (options: object) => Client };
const SCHEMA = join(import.meta.dirname, "absurd.sql");
const QUEUE = "bench";

export const adapter: Adapter = {
  name: "absurd 0.5.0",
  settings:
    "100 tasks at a time, polled every 20 ms (default 250), 20 connections; its function spawn_task in one statement with the event; for takeover a lease of 6 s: nothing renews it while a step runs, so it must be longer than the longest step, here 5 s",
  needs: () =>
    existsSync(SCHEMA)
      ? null
      : "its npm package lacks the SQL that it stands on: put `sql/absurd.sql` of its release 0.5.0 into bench/peers/absurd/ and run again",
  async install(connection) {
    const { Absurd } = await load();
    await ask(connection, readFileSync(SCHEMA, "utf8"));
    const pool = openPool(connection, 1);
    await new Absurd({ db: pool, queueName: QUEUE }).createQueue(QUEUE);
    await pool.end();
  },
  open,
  left: "select exists (select from absurd.r_bench where state in ('pending', 'sleeping', 'running')) as left",
  history: fill,
  takeover: "another",
};

async function open(options: OpenOptions): Promise<OpenEngine> {
  const { Absurd } = await load();
  const { handlers } = options;
  const pool: pg.Pool = openPool(options.connection, Math.max(20, options.acceptConnections));
  const client = new Absurd({
    db: pool,
    queueName: QUEUE,
    log: { log() {}, info() {}, warn() {}, error() {} },
  });
  client.registerTask({ name: "noop" }, async ({ n }) => handlers.noop(n));
  client.registerTask({ name: "steps" }, ({ n }, steps) => handlers.steps(n, (name, code) => steps.step(name, code)));
  let worker: { close(): Promise<void> } | undefined;
  const spawn = async (kind: Kind, n: number) => void (await client.spawn(kind, { n }));
  return {
    async start() {
      worker = await client.startWorker({
        workerId: options.name,
        concurrency: 100,
        pollInterval: 0.02,
        claimTimeout: options.shortLease ? 6 : 120,
        fatalOnLeaseTimeout: false,
      });
    },
    stop: async () => await worker?.close(),
    enqueue: spawn,
    async enqueueMany(kind, first, count) {
      await pool.query(
        "select count(*) from generate_series($2::integer, $3::integer) n, absurd.spawn_task('bench', $1, json_build_object('n', n)::jsonb)",
        [kind, first, first + count - 1],
      );
    },
    async accept(arrival) {
      await pool.query({
        name: "accept",
        text: `with kept as (${KEEP_EVENT} returning id)
          select t.task_id from kept, absurd.spawn_task('bench', 'noop', jsonb_build_object('n', $5::integer, 'event', id)) t`,
        values: [...eventValues(arrival), arrival.n],
      });
    },
    async acceptMany(arrivals) {
      await pool.query({
        name: "accept-many",
        text: `with kept as (${KEEP_EVENTS} returning id)
          select count(*) from kept, absurd.spawn_task('bench', 'noop', jsonb_build_object('n', 0, 'event', id))`,
        values: manyEventValues(arrivals),
      });
    },
  };
}

/** Copies of a task that completed, with a run each. */
function fill(rows: number): readonly string[] {
  return [
    `create temporary table copies as select uuidv7() as task, uuidv7() as run from generate_series(1, ${rows})`,
    `insert into absurd.t_bench (task_id, task_name, params, headers, retry_strategy, max_attempts, cancellation, enqueue_at, first_started_at,
       state, attempts, last_attempt_run, completed_payload)
     select c.task, t.task_name, t.params, t.headers, t.retry_strategy, t.max_attempts, t.cancellation, t.enqueue_at, t.first_started_at,
       t.state, t.attempts, c.run, t.completed_payload
     from copies c, (select * from absurd.t_bench where state = 'completed' limit 1) t`,
    `insert into absurd.r_bench (run_id, task_id, attempt, state, claimed_by, available_at, started_at, completed_at, result)
     select c.run, c.task, r.attempt, r.state, r.claimed_by, r.available_at, r.started_at, r.completed_at, r.result
     from copies c, (select * from absurd.r_bench where state = 'completed' limit 1) r`,
    "vacuum analyze",
    "checkpoint",
  ];
}
