import pg from "pg";
import type { Connection } from "../postgres.ts";
import type { Arrival } from "./adapter.ts";

/** A pool of the bench's own, for what an engine leaves to its user: the event beside the work. */
export function openPool(connection: Connection, most: number): pg.Pool {
  const pool = new pg.Pool({ ...connection, max: most });
  pool.on("error", () => {});
  return pool;
}

const COLUMNS = "id, source, type, key, time, outcome, integrity, privacy, method, url, headers, body";
const FIXED = "'github', 'push'";
const REST = "now(), 'dispatched', 'untrusted', 'private', 'POST', '/hooks/github'";

/** Keeps one event ($1 to $4), as part of a statement that goes on from it. */
export const KEEP_EVENT = `insert into events (${COLUMNS}) values ($1, ${FIXED}, $2, ${REST}, $3, $4)`;

export const eventValues = ({ id, key, headers, body }: Arrival): unknown[] => [id, key, JSON.stringify(headers), body];

/** Keeps many events ($1 to $4, arrays; bodies as one value, $5 and $6 say where each begins and how long it is). */
export const KEEP_EVENTS = `insert into events (${COLUMNS})
  select id, ${FIXED}, key, ${REST}, headers, substring($4::bytea from body_from for body_length)
  from unnest($1::text[], $2::text[], $3::json[], $5::integer[], $6::integer[]) as i(id, key, headers, body_from, body_length)`;

export function manyEventValues(arrivals: readonly Arrival[]): unknown[] {
  let at = 1;
  const from = arrivals.map(({ body }) => {
    at += body.length;
    return at - body.length;
  });
  return [
    arrivals.map(({ id }) => id),
    arrivals.map(({ key }) => key),
    arrivals.map(({ headers }) => JSON.stringify(headers)),
    Buffer.concat(arrivals.map(({ body }) => body)),
    from,
    arrivals.map(({ body }) => body.length),
  ];
}

/** Runs `work` in one transaction. */
export async function inTransaction(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<unknown>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await work(client);
    await client.query("commit");
  } finally {
    client.release();
  }
}

/** The steps table for engines that have none: one row a step, kept before the next begins. */
export const JOURNAL = `create table if not exists bench_steps
  (run text not null, name text not null, value jsonb not null, primary key (run, name))`;

/** The steps of one run in that table. */
export async function openJournal(
  pool: pg.Pool,
  run: string,
): Promise<(name: string, code: () => Promise<object>) => Promise<unknown>> {
  const { rows } = await pool.query({
    name: "bench-steps-of",
    text: "select name, value from bench_steps where run = $1",
    values: [run],
  });
  const kept = new Map(rows.map((row) => [row.name as string, row.value as unknown]));
  return async (name, code) => {
    if (kept.has(name)) return kept.get(name);
    const value = await code();
    await pool.query({
      name: "bench-keep-step",
      text: "insert into bench_steps (run, name, value) values ($1, $2, $3)",
      values: [run, name, JSON.stringify(value)],
    });
    return value;
  };
}
