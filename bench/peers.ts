import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type EngineFigures,
  installEngine,
  type Latency,
  loadAdapter,
  measureAccept,
  measureEngine,
  measureTakeover,
  type Scale,
  type Takeover,
} from "./engine.ts";
import { count, short } from "./figures.ts";
import { ask, type BenchServer, output } from "./postgres.ts";
import type { Table } from "./report.ts";
import { fillHistory } from "./work.ts";

const OURS = "daimon";
const PEERS = ["graphile-worker", "graphile-history", "pg-boss", "dbos", "absurd"] as const;
const TAKEOVER_RUNS = 100;
const TAKEOVER_PATIENCE_SECONDS = 60;

interface Accepted {
  readonly single: number;
  readonly batched32: number;
  readonly batched256: number;
}
interface Measured {
  readonly peer: string;
  readonly name: string;
  readonly settings: string;
  readonly rounds: (EngineFigures & Accepted)[];
  takeover: Takeover | string;
  /** Ours, beside DBOS: the same process started again at once. */
  restart?: Takeover | string;
  withHistory: { idle: Latency; noop1: number; steps1: number } | string;
}

/** The same work on each engine: one database each on the same server, in turn, A B C … A B C … */
export async function measurePeers(
  server: BenchServer,
  scale: Scale,
  rounds: number,
): Promise<{ tables: Table[]; data: unknown }> {
  const missing: string[] = [];
  const all: Measured[] = [];
  for (const peer of [OURS, ...PEERS]) {
    const problem = await preparePeer(peer);
    const { name, settings } = await loadAdapter(peer);
    if (problem) missing.push(`${name}: ${problem}`);
    else all.push({ peer, name, settings, rounds: [], takeover: "", withHistory: "" });
  }
  for (let round = 0; round < rounds; round++) {
    for (const one of all) one.rounds.push(await measureRound(server, one.peer, scale));
  }
  for (const one of all) {
    one.takeover = await measureTaking(server, one.peer);
    if (one.peer === OURS) one.restart = await measureTaking(server, one.peer, "restart");
  }
  for (const one of all) one.withHistory = await measureHistory(server, one.peer, scale);
  return { tables: tablesOf(all, scale, missing), data: { all, missing } };
}

/** Of each figure the best round: whatever else goes on on a machine only ever makes it worse. */
function best(rounds: readonly (EngineFigures & Accepted)[]): EngineFigures & Accepted {
  const keys = Object.keys(rounds[0]!) as (keyof EngineFigures | keyof Accepted)[];
  const bestOf = (key: (typeof keys)[number]) => {
    const values = rounds.map((round) => round[key]);
    if (typeof values[0] === "number") return Math.max(...(values as number[]));
    const least = (pick: keyof Latency) => Math.min(...(values as Latency[]).map((latency) => latency[pick]));
    return { p50: least("p50"), p99: least("p99") };
  };
  return Object.fromEntries(keys.map((key) => [key, bestOf(key)])) as unknown as EngineFigures & Accepted;
}

/** Installs a peer's packages when they are not there. Returns why it cannot be measured, if it cannot. */
async function preparePeer(peer: string): Promise<string | null> {
  const { needs } = await loadAdapter(peer);
  const folder = join(import.meta.dirname, "peers", peer);
  if (existsSync(join(folder, "package.json")) && !existsSync(join(folder, "node_modules"))) {
    process.stderr.write(`Installing ${peer} …\n`);
    const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
    const npm = spawn("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      env: { ...process.env, PATH },
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      await output(npm);
    } catch (error) {
      return `its packages could not be installed (${String(error).slice(0, 200)})`;
    }
  }
  return needs?.() ?? null;
}

async function measureRound(server: BenchServer, peer: string, scale: Scale): Promise<EngineFigures & Accepted> {
  process.stderr.write(`  ${peer}\n`);
  const connection = await installEngine(server, peer, "peer");
  const figures = await measureEngine(peer, connection, scale);
  const accept = async (clients: number, batched: boolean) =>
    (await measureAccept(peer, connection, { clients, seconds: scale.acceptSeconds, batched })).perSecond;
  const accepted = {
    single: await accept(32, false),
    batched32: await accept(32, true),
    batched256: await accept(256, true),
  };
  await server.drop("peer");
  return { ...figures, ...accepted };
}

async function measureTaking(server: BenchServer, peer: string, by?: "restart"): Promise<Takeover | string> {
  const takeover = by ?? (await loadAdapter(peer)).takeover;
  if (takeover !== "another" && takeover !== "restart") return takeover;
  process.stderr.write(`  ${peer}: kill -9\n`);
  const connection = await installEngine(server, peer, "takeover");
  const taken = await measureTakeover(peer, connection, {
    by: takeover,
    count: TAKEOVER_RUNS,
    patienceSeconds: TAKEOVER_PATIENCE_SECONDS,
  });
  await server.drop("takeover");
  return taken ?? `not within ${TAKEOVER_PATIENCE_SECONDS} s`;
}

async function measureHistory(server: BenchServer, peer: string, scale: Scale): Promise<Measured["withHistory"]> {
  const { history } = await loadAdapter(peer);
  if (typeof history === "string") return history;
  process.stderr.write(`  ${peer}: ${count(scale.history)} finished\n`);
  const connection = await installEngine(server, peer, "history");
  const small = { ...scale, samples: 20, offeredSeconds: 0.2, drainSeconds: 0.1 };
  await measureEngine(peer, connection, small);
  await fillHistory(peer, connection, scale.history);
  try {
    const { idle, noop1, steps1 } = await measureEngine(peer, connection, scale);
    return { idle, noop1, steps1 };
  } catch (error) {
    return `gave up: ${String(error).slice(0, 200)}`;
  } finally {
    await ask({ ...connection, database: "postgres" }, "select 1");
    await server.drop("history");
  }
}

function tablesOf(all: readonly Measured[], scale: Scale, missing: readonly string[]): Table[] {
  const figuresOf = new Map(all.map((one) => [one, best(one.rounds)]));
  const ours = figuresOf.get(all.find((one) => one.peer === OURS)!)!;
  /** `1,234 (2.1 ×)`: how many times the peer's is ours, the better way round. */
  const rate = (value: number, own: number) => beside(count(value), own / value);
  const time = (value: number, own: number) => beside(short(value), value / own);
  const beside = (text: string, times: number) =>
    times === 1 || !Number.isFinite(times) ? text : `${text} (${times.toFixed(1)})`;
  const row = (one: Measured, cells: (figures: EngineFigures & Accepted) => string[]) => [
    one.name,
    ...cells(figuresOf.get(one)!),
  ];
  const reading = "The best of the rounds. In brackets: how many times better ours is; below 1, ours is behind.";
  return [
    {
      title: "Accepting: the event (2 KB) and its work in one transaction, a second",
      columns: ["", "32 callers, each its own transaction", "32 callers, batched", "256 callers, batched"],
      rows: all.map((one) =>
        row(one, (figures) => [
          one.peer === OURS ? "always batched" : rate(figures.single, ours.batched32),
          rate(figures.batched32, ours.batched32),
          rate(figures.batched256, ours.batched256),
        ]),
      ),
      notes: [
        reading,
        "Batched: ours as it is; around the others we put our own batching, which they do not have, and their calls for many.",
      ],
    },
    {
      title: "From enqueueing to the start of the handler, in milliseconds",
      columns: ["", "idle p50", "idle p99", "idle p50, from another process", "at 200/s p50", "at 200/s p99"],
      rows: all.map((one) =>
        row(one, (figures) => [
          time(figures.idle.p50, ours.idle.p50),
          short(figures.idle.p99),
          time(figures.idleApart.p50, ours.idleApart.p50),
          time(figures.offeredApart.p50, ours.offeredApart.p50),
          short(figures.offeredApart.p99),
        ]),
      ),
      notes: [reading],
    },
    {
      title: "Work done, a second",
      columns: ["", "no-op, 1 process", "no-op, 2 processes", "durable 5-step runs, 1 process"],
      rows: all.map((one) =>
        row(one, (figures) => [
          rate(figures.noop1, ours.noop1),
          rate(figures.noop2, ours.noop2),
          rate(figures.steps1, ours.steps1),
        ]),
      ),
      notes: [
        reading,
        "graphile-worker and pg-boss have no steps; they keep them in a table, one insert a step, as one would write it.",
      ],
    },
    takeoverTable(all),
    historyTable(all, scale),
    {
      title: "How each was set",
      columns: ["", "settings"],
      rows: [
        ...all.map((one) => [one.name, one.settings]),
        ...missing.map((text) => [text.split(": ")[0]!, `not measured: ${text.split(": ").slice(1).join(": ")}`]),
      ],
    },
  ];
}

function takeoverTable(all: readonly Measured[]): Table {
  return {
    title: `kill -9 of a process in the third step of ${TAKEOVER_RUNS} five-step runs: seconds until the first goes on, and until all are done`,
    columns: ["", "first", "all", "kept steps executed again"],
    rows: all
      .flatMap(({ name, takeover, restart }): [string, Takeover | string | undefined][] => [
        [name, takeover],
        [`${name}, the same process started again`, restart],
      ])
      .filter(([, taken]) => taken !== undefined)
      .map(([name, taken]) =>
        typeof taken === "object"
          ? [name, short(taken.first / 1000), short(taken.all / 1000), count(taken.repeated)]
          : [name, taken ?? "", "", ""],
      ),
    notes: [
      "With the shortest lease each allows (ours 2 s). With our default lease of 30 s it takes a second at most: a killed process is missed by the next look of one on the same machine (from another machine two heartbeats later, by its connection), the lease is for one that is frozen or cut off. DBOS: the same process started again at once; another process never takes over without its paid Conductor.",
    ],
  };
}

function historyTable(all: readonly Measured[], scale: Scale): Table {
  return {
    title: `With ${count(scale.history)} finished runs kept`,
    columns: ["", "idle p50 ms", "no-op/s, 1 process", "durable 5-step runs/s"],
    rows: all.map(({ name, withHistory }) =>
      typeof withHistory === "string"
        ? [name, withHistory, "", ""]
        : [name, short(withHistory.idle.p50), count(withHistory.noop1), count(withHistory.steps1)],
    ),
  };
}
