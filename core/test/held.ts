import type { TestContext } from "node:test";
import { createLive } from "../base/live.ts";
import type { NewEvent } from "../define/event.ts";
import { type Label, STRANGER } from "../define/label.ts";
import type { Waiting } from "../define/run.ts";
import { createDispatch, type Dispatch } from "../runs/dispatch.ts";
import type { RegisteredHandler } from "../runs/registered.ts";
import { connect, type Database } from "../store/database.ts";
import { testDatabase } from "./database.ts";

type Held = Pick<RegisteredHandler, "debounce" | "rate" | "concurrency">;

const ALLOWED = { turns: 1, usd: 1, minutes: 1 };

/** A dispatch as a web process of its own has it: its own connections, its own batches. */
export function dispatcher(database: Database, held: Held, now: () => Date = () => new Date()): Dispatch {
  const handler: RegisteredHandler = {
    ...{ name: "trigger:a/b", version: "1", retry: { attempts: 2, delays: [20] }, limits: {}, priority: 0 },
    ...{ secret: () => "", run: async () => null, ...held },
  };
  const triggers = () => [{ handler: handler.name, on: { source: "test", type: "*" } }];
  const handlers = { get: () => handler, triggers };
  return createDispatch({
    database,
    handlers,
    live: createLive(),
    onQueued: () => {},
    now,
    allowed: ALLOWED,
  });
}

/** A database, and so many processes on it, each with connections and batches of its own. */
export async function processes(t: TestContext, count: number, held: Held) {
  const { database, connection } = await testDatabase(t);
  const pools = Array.from({ length: count }, () => connect({ ...connection, connections: 4 }));
  t.after(() => t.after(() => Promise.all(pools.map((pool) => pool.close()))));
  return { database, pools, dispatches: pools.map((pool) => dispatcher(pool, held)) };
}

/** An event of the source `test` whose data is its number, and more. */
export const event = (n: number, data: object = {}, label: Label = STRANGER): NewEvent => ({
  ...{ source: "test", type: "it", key: String(n), data: { n, ...data }, label },
});

interface Row {
  readonly id: string;
  readonly status: string;
  readonly waiting: Waiting | null;
  readonly wakeAt: Date | null;
  readonly events: readonly number[];
}

/** All runs, in the order in which they were made, with the numbers of the events that each has gathered. */
export const runsIn = (database: Database) =>
  database.query<Row>(
    `select r.id, r.status, r.waiting, r.wake_at as "wakeAt",
       array(select (e.data ->> 'n')::integer from bursts b join events e on e.id = b.event_id where b.run_id = r.id order by 1) as events
     from runs r order by r.id`,
  );
/** Their statuses alone. */
export const statusesIn = async (database: Database) => (await runsIn(database)).map((run) => run.status);
/** So many milliseconds from now. */
export const later = (milliseconds: number) => new Date(Date.now() + milliseconds);
