import type pg from "pg";
import { urlOf } from "../../postgres.ts";
import type { Adapter, Kind, OpenEngine, OpenOptions } from "../adapter.ts";
import { eventValues, inTransaction, KEEP_EVENT, KEEP_EVENTS, manyEventValues, openPool } from "../events.ts";

/** What we use of the package: https://docs.dbos.dev/typescript/reference */
interface Dbos {
  setConfig(config: object): void;
  launch(): Promise<void>;
  shutdown(options?: object): Promise<void>;
  migrate(url: string): Promise<void>;
  registerWorkflow<Code>(code: Code, options: { name: string }): Code;
  registerQueue(name: string, options: object): Promise<unknown>;
  runStep<Value>(code: () => Promise<Value>, options: { name: string }): Promise<Value>;
}
interface Client {
  enqueue(options: object, ...values: unknown[]): Promise<unknown>;
  enqueueInTransaction(client: pg.ClientBase, options: object, ...values: unknown[]): Promise<unknown>;
}

const PACKAGE = "@dbos-inc/dbos-sdk";
const load = async () =>
  (await import(PACKAGE)) as { DBOS: Dbos; DBOSClient: { create(options: object): Promise<Client> } };

const QUEUE = "bench";
const APPLICATION = "bench";

export const adapter: Adapter = {
  name: "DBOS 5.3.0",
  settings:
    "queue polled every 50 ms (default 1 s), 100 workflows at a time, 20 connections; client.enqueueInTransaction inside our transaction",
  async install(connection) {
    const { DBOS } = await load();
    await DBOS.migrate(urlOf(connection));
  },
  open,
  left: "select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING', 'DELAYED')) as left",
  history: fill,
  takeover: "restart",
};

const silent = { info() {}, debug() {}, warn() {}, error() {} };

async function open(options: OpenOptions): Promise<OpenEngine> {
  const { DBOS, DBOSClient } = await load();
  const { connection, handlers } = options;
  const systemDatabaseUrl = urlOf(connection);
  const pool = openPool(connection, Math.max(4, options.acceptConnections));
  const client = await DBOSClient.create({
    systemDatabaseUrl,
    systemDatabasePoolSize: 20,
    logger: silent,
    applicationName: APPLICATION,
  });
  if (options.carries) {
    DBOS.registerWorkflow(async (n: number) => handlers.noop(n), { name: "noop" });
    DBOS.registerWorkflow((n: number) => handlers.steps(n, (name, code) => DBOS.runStep(code, { name })), {
      name: "steps",
    });
    DBOS.setConfig({
      name: APPLICATION,
      systemDatabaseUrl,
      systemDatabasePoolSize: 20,
      logger: silent,
      applicationVersion: "1",
      executorID: options.name,
    });
  }
  const work = (kind: Kind) => ({ queueName: QUEUE, workflowName: kind, appVersion: "1" });
  return {
    async start() {
      await DBOS.launch();
      await DBOS.registerQueue(QUEUE, { workerConcurrency: 100, minPollingIntervalMs: 50 });
    },
    stop: () => DBOS.shutdown({ workflowCompletionTimeoutMS: 5_000 }),
    enqueue: async (kind, n) => void (await client.enqueue(work(kind), n)),
    async enqueueMany(kind, first, count) {
      for (let done = 0; done < count; done += 200) {
        const some = Math.min(200, count - done);
        await Promise.all(Array.from({ length: some }, (_, place) => client.enqueue(work(kind), first + done + place)));
      }
    },
    async accept(arrival) {
      await inTransaction(pool, async (inside) => {
        await inside.query({ name: "keep-event", text: KEEP_EVENT, values: eventValues(arrival) });
        await client.enqueueInTransaction(inside, work("noop"), arrival.n);
      });
    },
    async acceptMany(arrivals) {
      await inTransaction(pool, async (inside) => {
        await inside.query({ name: "keep-events", text: KEEP_EVENTS, values: manyEventValues(arrivals) });
        for (const { n } of arrivals) await client.enqueueInTransaction(inside, work("noop"), n);
      });
    },
  };
}

/** Copies of a workflow that succeeded: every column but its id. */
function fill(rows: number): readonly string[] {
  return [
    `do $$ declare others text; begin
       select string_agg(quote_ident(column_name), ', ') into others from information_schema.columns
       where table_schema = 'dbos' and table_name = 'workflow_status' and column_name <> 'workflow_uuid' and is_generated = 'NEVER';
       execute format('insert into dbos.workflow_status (workflow_uuid, %1$s) select gen_random_uuid()::text, %1$s
         from (select * from dbos.workflow_status where status = ''SUCCESS'' limit 1) w, generate_series(1, ${rows})', others);
     end $$`,
    "vacuum analyze",
    "checkpoint",
  ];
}
