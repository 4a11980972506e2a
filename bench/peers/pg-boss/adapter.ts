import type pg from "pg";
import { urlOf } from "../../postgres.ts";
import type { Adapter, OpenEngine, OpenOptions } from "../adapter.ts";
import {
  eventValues,
  inTransaction,
  JOURNAL,
  KEEP_EVENT,
  KEEP_EVENTS,
  manyEventValues,
  openJournal,
  openPool,
} from "../events.ts";

interface Job {
  readonly id: string;
  readonly data: { n: number };
}

/** What we use of the package: https://pgboss.io */
interface Boss {
  on(event: "error", listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: object): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  send(name: string, data: object, options?: object): Promise<unknown>;
  insert(name: string, jobs: object[], options?: object): Promise<unknown>;
  work(name: string, options: object, handler: (jobs: Job[]) => Promise<unknown>): Promise<string>;
  offWork(name: string, options?: object): Promise<void>;
}

const PACKAGE = "pg-boss";
const load = async () => (await import(PACKAGE)) as { PgBoss: new (options: object) => Boss };

const KINDS = ["noop", "steps"] as const;

export const adapter: Adapter = {
  name: "pg-boss 12.38.0",
  settings:
    "LISTEN/NOTIFY on, batches of 100 fetched in a burst while they are full, 20 connections; `send` with `db` inside our transaction " +
    "(`insert` for many); for takeover: heartbeat 10 s (its least), refreshed every second, looked after every second",
  async install(connection) {
    const { PgBoss } = await load();
    const boss = new PgBoss({ connectionString: urlOf(connection) });
    boss.on("error", () => {});
    await boss.start();
    for (const kind of KINDS) await boss.createQueue(kind, { notify: true, retryLimit: 5, heartbeatSeconds: 10 });
    await boss.stop({ graceful: false });
    const pool = openPool(connection, 1);
    await pool.query(JOURNAL);
    await pool.end();
  },
  open,
  left: "select exists (select from pgboss.job where name in ('noop', 'steps') and state < 'completed') as left",
  history: (rows) => [
    `insert into pgboss.job (name, data, state, retry_limit, expire_seconds, deletion_seconds, keep_until, policy, created_on, started_on, completed_on)
     select j.name, j.data, j.state, j.retry_limit, j.expire_seconds, j.deletion_seconds, j.keep_until, j.policy, j.created_on, j.started_on, j.completed_on
     from (select * from pgboss.job where name = 'noop' and state = 'completed' limit 1) j, generate_series(1, ${rows})`,
    "vacuum analyze",
    "checkpoint",
  ],
  takeover: "another",
};

async function open(options: OpenOptions): Promise<OpenEngine> {
  const { PgBoss } = await load();
  const { handlers } = options;
  const pool = openPool(options.connection, Math.max(20, options.acceptConnections));
  const boss = new PgBoss({
    connectionString: urlOf(options.connection),
    max: 20,
    useListenNotify: true,
    schedule: false,
    ...(options.shortLease ? { monitorIntervalSeconds: 1, superviseIntervalSeconds: 1 } : {}),
  });
  boss.on("error", () => {});
  await boss.start();
  const polling = { batchSize: 100, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, heartbeatRefreshSeconds: 1 };
  const within = (client: pg.ClientBase) => ({
    db: { executeSql: (text: string, values?: unknown[]) => client.query(text, values) },
  });
  return {
    async start() {
      await boss.work("noop", polling, async (jobs) => {
        for (const job of jobs) handlers.noop(job.data.n);
      });
      await boss.work("steps", polling, async (jobs) => {
        await Promise.all(jobs.map(async (job) => await handlers.steps(job.data.n, await openJournal(pool, job.id))));
      });
    },
    async stop() {
      for (const kind of KINDS) await boss.offWork(kind, { wait: true });
    },
    enqueue: async (kind, n) => void (await boss.send(kind, { n })),
    async enqueueMany(kind, first, count) {
      for (let done = 0; done < count; done += 1000) {
        const some = Math.min(1000, count - done);
        await boss.insert(
          kind,
          Array.from({ length: some }, (_, place) => ({ data: { n: first + done + place } })),
        );
      }
    },
    async accept(arrival) {
      await inTransaction(pool, async (client) => {
        await client.query({ name: "keep-event", text: KEEP_EVENT, values: eventValues(arrival) });
        await boss.send("noop", { n: arrival.n, event: arrival.id }, within(client));
      });
    },
    async acceptMany(arrivals) {
      await inTransaction(pool, async (client) => {
        await client.query({ name: "keep-events", text: KEEP_EVENTS, values: manyEventValues(arrivals) });
        await boss.insert(
          "noop",
          arrivals.map(({ n, id }) => ({ data: { n, event: id } })),
          within(client),
        );
      });
    },
  };
}
