import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { installEngine, measureAccept } from "./engine.ts";
import { count, mean, ratio, short } from "./figures.ts";
import { startHouse } from "./house.ts";
import type { LoadFigures, LoadOptions } from "./load.ts";
import { BODY_BYTES, githubBody } from "./payload.ts";
import {
  ask,
  type BenchServer,
  type Connection,
  findPgbench,
  output,
  PGBENCH_MISSING,
  runPgbench,
  urlOf,
} from "./postgres.ts";
import type { Table } from "./report.ts";

const CLIENTS = [1, 32, 256] as const;
/** Of pgbench: with more of them it does less. */
const MOST_CONNECTIONS = 64;
const SECRET = "bench-secret-of-the-github-webhook";

// Ids that sort by time, as ours do; the same columns, the same indexes, one statement.
const SUFFIX = "substr(replace(uuidv7()::text, '-', ''), 1, 26)";
const EVENT = `insert into events (id, source, type, key, time, data, problem, outcome, reason, integrity, privacy, parent_run, method, url, headers, body)
 values ('evt_' || ${SUFFIX}, 'github', 'push', gen_random_uuid()::text, now(), null, null, 'dispatched', null, 'untrusted', 'private', null,
 'POST', '/hooks/github', :headers, :body) on conflict (source, key) do nothing`;
const RUN = `insert into runs (id, event_id, parent_id, handler, priority, key, key_limit, max_attempts, delays, integrity, privacy, limits)
 select 'run_' || ${SUFFIX}, id, null, 'bench-noop', 0, null, null, 8, '{5000,300000,1800000,7200000,18000000,36000000,36000000}',
 'untrusted', 'private', '{}' from kept`;
const oneLine = (sql: string) => sql.replaceAll("\n", " ");
const SCRIPTS = {
  both: `with kept as (${oneLine(EVENT)} returning id) ${oneLine(RUN)};\n`,
  alone: `${oneLine(EVENT)};\n`,
};
const HEADERS = JSON.stringify({
  host: "127.0.0.1:4242",
  "user-agent": "GitHub-Hookshot/bench",
  "content-type": "application/json",
  "x-github-event": "push",
  "x-github-delivery": "00000000-0000-0000-0000-000000000000",
  "x-hub-signature-256": `sha256=${"0".repeat(64)}`,
});

interface Round {
  readonly clients: number;
  readonly http: LoadFigures;
  readonly dispatch: { perSecond: number; p50: number; p99: number };
  readonly dispatchAlone: { perSecond: number; p50: number; p99: number };
  readonly pgbench: number;
  readonly pgbenchAlone: number;
}

/**
 * Accepting, over HTTP and without it, beside pgbench doing the same insert, in turn on the same server: for each
 * number of clients A B C A B C.
 */
export async function measureAccepting(
  server: BenchServer,
  options: { seconds: number; rounds: number },
): Promise<{ tables: Table[]; data: unknown }> {
  const pgbench = await preparePgbench(server, options.seconds);
  const database = await installEngine(server, "daimon", "accepting");
  const home = join(server.folder, "web");
  const values = { DATABASE_URL: urlOf(await installEngine(server, "daimon", "http")), GITHUB_WEBHOOK_SECRET: SECRET };
  const rounds: Round[] = [];
  const house = await startHouse({ home, only: "web", values });
  try {
    for (const clients of CLIENTS) {
      for (let round = 0; round < options.rounds; round++) {
        const seconds = options.seconds;
        const both = { clients, seconds, batched: true };
        rounds.push({
          clients,
          pgbench: await pgbench("both", clients),
          http: await loadHttp({ port: house.port, clients, seconds, secret: SECRET }),
          dispatch: await measureAccept("daimon", database, both),
          pgbenchAlone: await pgbench("alone", clients),
          dispatchAlone: await measureAccept("daimon", database, { ...both, alone: true }),
        });
      }
    }
  } finally {
    await house.stop();
  }
  const busy = await measureBusy(server, options.seconds);
  for (const name of ["accepting", "http", "busy", "pgbench"]) await server.drop(name);
  const sizes = summarize(rounds);
  return { tables: [httpTable(sizes, busy), processTable(sizes)], data: { rounds, busy } };
}

/** Runs the load generator in a process of its own. */
export async function loadHttp(options: LoadOptions): Promise<LoadFigures> {
  const file = join(import.meta.dirname, "load.ts");
  return JSON.parse(await output(spawn(process.execPath, [file, JSON.stringify(options)])));
}

/** pgbench on tables like ours; what it is asked for is NaN when there is none. */
async function preparePgbench(server: BenchServer, seconds: number) {
  const connection = await installEngine(server, "daimon", "pgbench");
  const program = findPgbench();
  const variables = { headers: HEADERS, body: `\\x${Buffer.from(githubBody(1)).toString("hex")}` };
  for (const [name, script] of Object.entries(SCRIPTS))
    writeFileSync(join(server.folder, `${name}.sql`), script, { mode: 0o644 });
  return async (script: keyof typeof SCRIPTS, clients: number): Promise<number> => {
    if (!program) return Number.NaN;
    const file = join(server.folder, `${script}.sql`);
    const connections = Math.min(clients, MOST_CONNECTIONS);
    return await runPgbench(program, connection, { script: file, clients: connections, seconds, variables });
  };
}

/** The whole system in one process: it accepts, and carries what it accepted (a hub entry and a commit each). */
async function measureBusy(
  server: BenchServer,
  seconds: number,
): Promise<{ http: LoadFigures; carriedPerSecond: number }> {
  const connection: Connection = await installEngine(server, "daimon", "busy");
  const values = { DATABASE_URL: urlOf(connection), GITHUB_WEBHOOK_SECRET: SECRET };
  const house = await startHouse({ home: join(server.folder, "busy"), values });
  try {
    const http = await loadHttp({ port: house.port, clients: 32, seconds, secret: SECRET });
    const [row] = await ask<{ done: number; problem: string | null }>(
      connection,
      "select count(*) filter (where status = 'completed')::integer as done, min(error ->> 'message') as problem from runs",
    );
    if (row!.problem) throw new Error(`The runs fail: ${row!.problem}`);
    return { http, carriedPerSecond: row!.done / (seconds + 1) };
  } finally {
    await house.stop(0);
  }
}

interface Size {
  readonly clients: number;
  readonly http: LoadFigures;
  readonly dispatch: { perSecond: number; p50: number; p99: number };
  readonly alone: number;
  readonly pgbench: number;
  readonly pgbenchAlone: number;
}

function summarize(rounds: readonly Round[]): Size[] {
  return CLIENTS.map((clients) => {
    const own = rounds.filter((round) => round.clients === clients);
    const of = (pick: (round: Round) => number) => mean(own.map(pick));
    return {
      clients,
      http: {
        perSecond: of((round) => round.http.perSecond),
        p50: of((round) => round.http.p50),
        p99: of((round) => round.http.p99),
        refused: Object.assign({}, ...own.map((round) => round.http.refused)),
        acked: [],
      },
      dispatch: {
        perSecond: of((round) => round.dispatch.perSecond),
        p50: of((round) => round.dispatch.p50),
        p99: of((round) => round.dispatch.p99),
      },
      alone: of((round) => round.dispatchAlone.perSecond),
      pgbench: of((round) => round.pgbench),
      pgbenchAlone: of((round) => round.pgbenchAlone),
    };
  });
}

const MISSING = findPgbench() ? [] : [PGBENCH_MISSING];

function httpTable(sizes: readonly Size[], busy: { http: LoadFigures; carriedPerSecond: number }): Table {
  const refused = sizes.flatMap((size) => Object.entries(size.http.refused));
  return {
    title: `Accepting over HTTP: GitHub-signed bodies of ${BODY_BYTES} bytes, each a durable event with its run`,
    columns: ["clients", "accepted/s", "ack p50 ms", "ack p99 ms", "pgbench, the same insert/s", "ratio"],
    rows: [
      ...sizes.map((size) => [
        String(size.clients),
        count(size.http.perSecond),
        short(size.http.p50),
        short(size.http.p99),
        count(size.pgbench),
        ratio(size.http.perSecond / size.pgbench),
      ]),
      [
        `32, and the same process carries the runs (${count(busy.carriedPerSecond)}/s)`,
        count(busy.http.perSecond),
        short(busy.http.p50),
        short(busy.http.p99),
        "",
        "",
      ],
    ],
    notes: [
      "`daimon start --only web` (the last row: the whole system in one process), one request under way for each client over a kept connection; the load comes from another process on the same machine.",
      refused.length === 0 ? "Every answer was 202." : `Other answers: ${JSON.stringify(Object.fromEntries(refused))}.`,
      ...MISSING,
    ],
  };
}

function processTable(sizes: readonly Size[]): Table {
  return {
    title: "The accept path without HTTP (`runs.dispatch` in process) beside `pgbench` committing the same rows singly",
    columns: [
      "clients",
      "event + run/s",
      "p50 ms",
      "p99 ms",
      "pgbench event + run/s",
      "ratio",
      "event alone/s",
      "pgbench event alone/s",
      "ratio",
    ],
    rows: sizes.map((size) => [
      String(size.clients),
      count(size.dispatch.perSecond),
      short(size.dispatch.p50),
      short(size.dispatch.p99),
      count(size.pgbench),
      ratio(size.dispatch.perSecond / size.pgbench),
      count(size.alone),
      count(size.pgbenchAlone),
      ratio(size.alone / size.pgbenchAlone),
    ]),
    notes: [
      `pgbench: prepared statements, two threads, as many connections as clients (at most ${MOST_CONNECTIONS}: more are slower), one commit each; the same columns, indexes and body as ours.`,
      ...MISSING,
    ],
  };
}
