import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { loadHttp } from "./accept.ts";
import type { BareOptions } from "./bare.ts";
import { count, mean, now, pause, quantile, short } from "./figures.ts";
import type { LoadFigures } from "./load.ts";
import { proportionalBytes } from "./memory.ts";
import { BODY_BYTES, githubBody } from "./payload.ts";
import { openDaimon } from "./peers/daimon/stack.ts";
import { findMissing, openSeed } from "./peers/seed/stack.ts";
import { SECRET, type Stack } from "./peers/stack.ts";
import type { BenchServer } from "./postgres.ts";
import type { Table } from "./report.ts";

const CLIENTS = 32;
const RATES = [50, 200, 400] as const;
/** Seconds after the last one that was done until the rest is given up. */
const PATIENCE_SECONDS = 60;

export interface SeedScale {
  readonly rounds: number;
  /** Seconds at full load, and at each rate. */
  readonly acceptSeconds: number;
  readonly offeredSeconds: number;
  /** Seconds of load of which the backlog is made. */
  readonly backlogSeconds: number;
  /** Seconds of load in which what works and what holds the work are killed. */
  readonly strikeSeconds: number;
  /**
   * Seconds after the last one that was done until the rest counts as lost. A Celery worker looks 10 s and 110 s after
   * its start for what a dead one held.
   */
  readonly lostSeconds: number;
}

interface Offered {
  readonly ack: Times;
  readonly done: Times;
  /** Of those that were offered: how many were not acked, or not done within the patience. */
  readonly missing: number;
}
interface Times {
  readonly p50: number;
  readonly p99: number;
}

/** What one system did in one round: a second, milliseconds, bytes. */
interface Figures {
  readonly firstAck: number;
  readonly firstDone: number;
  readonly idle: number;
  readonly after: number;
  readonly database: number;
  readonly busy: Rate;
  readonly alone: Rate;
  readonly drained: number;
  readonly offered: readonly Offered[];
}
interface Rate extends Times {
  readonly perSecond: number;
  readonly refused: LoadFigures["refused"];
}

interface Losses {
  readonly name: string;
  readonly struck: string;
  readonly acked: number;
  readonly refused: number;
  readonly lost: number;
  readonly seconds: number;
}

type Open = (server: BenchServer) => Promise<Stack>;

/** What is compared, in the order of the turns; the names of databases are theirs alone. */
const STACKS: readonly { ours: boolean; open: Open }[] = [
  { ours: false, open: (server) => openSeed(server, { web: 1, redis: "snapshots", name: "seed1" }) },
  { ours: true, open: (server) => openDaimon(server, { processes: 1, name: "ours1" }) },
  { ours: false, open: (server) => openSeed(server, { web: 2, redis: "snapshots", name: "seed2" }) },
  { ours: true, open: (server) => openDaimon(server, { processes: 2, name: "ours2" }) },
];
const STRUCK: readonly { what: string; open: Open }[] = [
  {
    what: "the seed's stack, Redis as Debian has it",
    open: (server) => openSeed(server, { web: 1, redis: "snapshots", soon: true, name: "struck1" }),
  },
  {
    what: "the seed's stack, Redis with appendfsync always",
    open: (server) => openSeed(server, { web: 1, redis: "append only", soon: true, name: "struck2" }),
  },
  { what: "daimon", open: (server) => openDaimon(server, { processes: 2, name: "struck3", embedded: true }) },
];

/** The same webhooks on the seed's own stack and on ours, in turn on one server. */
export async function measureSeed(server: BenchServer, scale: SeedScale): Promise<{ tables: Table[]; data: unknown }> {
  const missing = findMissing();
  if (missing) return { tables: [{ title: "Not measured", columns: ["why"], rows: [[missing]] }], data: { missing } };
  const measured = STACKS.map(({ ours }) => ({ ours, name: "", settings: "", rounds: [] as Figures[] }));
  for (let round = 0; round < scale.rounds; round++) {
    for (const [place, { open }] of STACKS.entries()) {
      const stack = await open(server);
      const { name, settings } = stack;
      process.stderr.write(`  ${name}\n`);
      Object.assign(measured[place]!, { name, settings });
      measured[place]!.rounds.push(await measureStack(stack, scale).finally(() => stack.stop()));
    }
  }
  const losses: Losses[] = [];
  for (const { what, open } of STRUCK) {
    process.stderr.write(`  ${what}: kill -9\n`);
    const stack = await open(server);
    losses.push(await measureLosses(what, stack, scale).finally(() => stack.stop()));
  }
  const bare = await measureBare(scale.acceptSeconds);
  return { tables: [...tablesOf(measured, losses, scale), bareTable(bare)], data: { measured, losses, bare } };
}

interface Bare {
  readonly nothing: number;
  readonly checks: number;
}

/** What Node's own HTTP server takes a second from the same load: no system in Node can take more here. */
async function measureBare(seconds: number): Promise<Bare> {
  const measure = async (checks: boolean) => {
    const options: BareOptions = { secret: SECRET, checks };
    const file = join(import.meta.dirname, "bare.ts");
    const server = spawn(process.execPath, [file, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await once(server.stdout, "data")) as [Buffer];
      return await loadHttp({ port: Number(line), clients: CLIENTS, secret: SECRET, seconds });
    } finally {
      server.kill();
    }
  };
  return { nothing: (await measure(false)).perSecond, checks: (await measure(true)).perSecond };
}

const bareTable = ({ nothing, checks }: Bare): Table => ({
  title: `What is possible here: Node's own HTTP server with the same load, which keeps nothing`,
  columns: ["", "answered/s"],
  rows: [
    ["answers 202", count(nothing)],
    ["checks the signature, parses the body, answers 202", count(checks)],
  ],
});

async function measureStack(stack: Stack, scale: SeedScale): Promise<Figures> {
  const began = now();
  await stack.start();
  const first = await knock(stack);
  const firstAck = now() - began;
  await allDone(stack, [first]);
  const firstDone = now() - began;
  await pause(3000);
  const idle = proportionalBytes(stack.pids());
  const load = async (seconds: number, rate?: number) =>
    await loadHttp({
      port: stack.port,
      clients: CLIENTS,
      secret: SECRET,
      seconds,
      tell: true,
      ...(rate ? { rate } : {}),
    });

  await settle(stack, await load(1));
  const busy = await load(scale.acceptSeconds);
  await settle(stack, busy);
  const offered: Offered[] = [];
  for (const rate of RATES) {
    const figures = await load(scale.offeredSeconds, rate);
    const due = Math.floor(rate * (scale.offeredSeconds + 1));
    offered.push(await toOffered(stack, figures, due));
  }
  const after = proportionalBytes(stack.pids());
  const database = proportionalBytes(await stack.databasePids());

  await stack.stopWork();
  const alone = await load(scale.backlogSeconds);
  await stack.startWork();
  const keys = alone.acked.map(([key]) => key);
  const ends = await allDone(stack, keys);
  const times = keys.flatMap((key) => ends.get(key) ?? []).sort((one, other) => one - other);
  const drained = ((times.length - 1) * 1000) / (times.at(-1)! - times[0]!);
  return { firstAck, firstDone, idle, after, database, busy: toRate(busy), alone: toRate(alone), drained, offered };
}

const toRate = ({ perSecond, p50, p99, refused }: LoadFigures): Rate => ({ perSecond, p50, p99, refused });

/** Sends one delivery after the other until the first is acked; returns its id. */
async function knock(stack: Stack): Promise<string> {
  const body = githubBody(0);
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const key = randomUUID();
  const headers = {
    "content-type": "application/json",
    "x-github-event": "push",
    "x-github-delivery": key,
    "x-hub-signature-256": `sha256=${signature}`,
  };
  for (const until = now() + 60_000; now() < until; await pause(2)) {
    const url = `http://127.0.0.1:${stack.port}/hooks/github`;
    const answer = await fetch(url, { method: "POST", body, headers }).catch(() => null);
    await answer?.arrayBuffer();
    if (answer?.ok) return key;
  }
  throw new Error(`${stack.name} took nothing in 60 s.`);
}

/** Waits until what was acked is done, at most the patience. */
async function settle(stack: Stack, load: LoadFigures): Promise<void> {
  await allDone(
    stack,
    load.acked.map(([key]) => key),
  );
}

/** When each of these was done. Waits as long as something gets on, and then for the patience. */
async function allDone(
  stack: Stack,
  keys: readonly string[],
  patience: number = PATIENCE_SECONDS,
): Promise<Map<string, number>> {
  let best = -1;
  let until = now() + patience * 1000;
  for (;;) {
    const done = await stack.doneCount().catch(() => -1);
    if (done > best) {
      if (best >= 0) until = now() + patience * 1000;
      best = done;
    }
    if (done >= keys.length) {
      const ends = await stack.done();
      if (keys.every((key) => ends.has(key))) return ends;
    }
    if (now() > until) return await stack.done();
    await pause(keys.length > 1 ? 200 : 5);
  }
}

async function toOffered(stack: Stack, figures: LoadFigures, due: number): Promise<Offered> {
  const ends = await allDone(
    stack,
    figures.acked.map(([key]) => key),
  );
  const times = figures.acked.flatMap(([key, at]) => (ends.has(key) ? [ends.get(key)! - at] : []));
  return {
    ack: { p50: figures.p50, p99: figures.p99 },
    done: { p50: quantile(times, 0.5), p99: quantile(times, 0.99) },
    missing: due - times.length,
  };
}

/** Full load; in the middle of it what works and what holds the work are killed with -9 and come back. */
async function measureLosses(name: string, stack: Stack, scale: SeedScale): Promise<Losses> {
  const seconds = scale.strikeSeconds;
  await stack.start();
  const first = await knock(stack);
  await allDone(stack, [first]);
  const underway = loadHttp({ port: stack.port, clients: CLIENTS, secret: SECRET, seconds, tell: true });
  await pause((seconds * 1000) / 2 + 1000);
  const struck = await stack.strike();
  const figures = await underway;
  const began = now();
  const keys = figures.acked.map(([key]) => key);
  const ends = await allDone(stack, keys, scale.lostSeconds);
  const refused = Object.values(figures.refused).reduce((sum, times) => sum + times, 0);
  const lost = keys.filter((key) => !ends.has(key)).length;
  return { name, struck, acked: keys.length, refused, lost, seconds: (now() - began) / 1000 };
}

type Measured = { ours: boolean; name: string; settings: string; rounds: readonly Figures[] };

function tablesOf(measured: readonly Measured[], losses: readonly Losses[], scale: SeedScale): Table[] {
  const of = (one: Measured, pick: (figures: Figures) => number) => mean(one.rounds.map(pick));
  /** The best of ours beside the best of the seed's, the better way round; above 1, ours is ahead. */
  const times = (pick: (figures: Figures) => number, better: "more" | "less") => {
    const best = (ours: boolean) => {
      const values = measured.filter((one) => one.ours === ours).map((one) => of(one, pick));
      return better === "more" ? Math.max(...values) : Math.min(...values);
    };
    const [own, theirs] = [best(true), best(false)];
    const ratio = better === "more" ? own / theirs : theirs / own;
    return Number.isFinite(ratio) ? `${ratio.toFixed(1)} ×` : "–";
  };
  type Column = readonly [what: string, pick: (figures: Figures) => number, better: "more" | "less", scale?: number];
  const table = (title: string, columns: readonly Column[], notes: readonly string[]): Table => ({
    title,
    columns: ["", ...columns.map(([what]) => what)],
    rows: [
      ...measured.map((one) => [
        one.name,
        ...columns.map(([, pick, better, unit = 1]) => {
          const value = of(one, pick) / unit;
          return better === "more" ? count(value) : short(value);
        }),
      ]),
      ["**ours beside the seed's, the best of each**", ...columns.map(([, pick, better]) => times(pick, better))],
    ],
    notes,
  });
  const refused = measured.flatMap((one) =>
    one.rounds.flatMap(({ busy, alone }) => Object.keys({ ...busy.refused, ...alone.refused })),
  );
  const missing = measured.map(({ name, rounds }) => {
    const sum = rounds.flatMap(({ offered }) => offered).reduce((sum, one) => sum + one.missing, 0);
    return sum > 0 ? `${name}: ${sum} of those offered were not done within ${PATIENCE_SECONDS} s.` : "";
  });
  return [
    table(
      `Taking and doing: GitHub-signed bodies of ${BODY_BYTES} bytes, ${CLIENTS} connections`,
      [
        ["accepted/s while the work is done", (one) => one.busy.perSecond, "more"],
        ["ack p50 ms", (one) => one.busy.p50, "less"],
        ["ack p99 ms", (one) => one.busy.p99, "less"],
        ["accepted/s while no worker runs", (one) => one.alone.perSecond, "more"],
        ["ack p50 ms", (one) => one.alone.p50, "less"],
        ["ack p99 ms", (one) => one.alone.p99, "less"],
        ["drained/s", (one) => one.drained, "more"],
      ],
      [
        `${scale.rounds} rounds in turn. Drained: what was accepted in ${scale.backlogSeconds + 1} s while no worker ran, from the first that was done to the last.`,
        `Promise: accepted and drained at least 10 ×. ${refused.length === 0 ? "Every answer was 202." : `Other answers: ${[...new Set(refused)].join(", ")}.`}`,
      ],
    ),
    table(
      "From the moment a delivery is due to its work marked done in the database, in milliseconds",
      RATES.flatMap((rate, place): Column[] => [
        [`${rate}/s p50`, (one) => one.offered[place]!.done.p50, "less"],
        [`${rate}/s p99`, (one) => one.offered[place]!.done.p99, "less"],
        [`ack p50`, (one) => one.offered[place]!.ack.p50, "less"],
        [`ack p99`, (one) => one.offered[place]!.ack.p99, "less"],
      ]),
      [`Offered at an even pace for ${scale.offeredSeconds + 1} s.`, ...missing.filter(Boolean)],
    ),
    table(
      "Start, and memory of its processes (PSS)",
      [
        ["start to the first 202, ms", (one) => one.firstAck, "less"],
        ["start to the first done, ms", (one) => one.firstDone, "less"],
        ["idle MB", (one) => one.idle, "less", 2 ** 20],
        ["after the load MB", (one) => one.after, "less", 2 ** 20],
        ["its backends in Postgres MB", (one) => one.database, "less", 2 ** 20],
      ],
      [
        "The database runs already and has its tables. The seed's: uvicorn, Redis, the Celery worker with its children, Celery beat.",
      ],
    ),
    {
      title: `kill -9 in the middle of ${scale.strikeSeconds + 1} s of full load, back a second later: acked and never done`,
      columns: ["", "killed", "acked", "other answers", "lost", "s until all was done, or given up"],
      rows: losses.map((one) => [
        one.name,
        one.struck,
        count(one.acked),
        count(one.refused),
        count(one.lost),
        short(one.seconds),
      ]),
      notes: [
        `Given up ${scale.lostSeconds} s after the last one that was done. For this table Redis hands out again after 10 s what a dead worker held (Celery's default: an hour).`,
      ],
    },
    { title: "How each was set", columns: ["", "settings"], rows: settingsOf(measured) },
  ];
}

function settingsOf(measured: readonly Measured[]): string[][] {
  const rows = new Map(measured.map((one) => [one.ours ? "daimon" : "the seed's stack", one.settings]));
  return [...rows];
}
