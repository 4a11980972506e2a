import { join } from "node:path";
import pg from "pg";
import { now, pause, quantile } from "./figures.ts";
import type { Adapter, Kind } from "./peers/adapter.ts";
import type { BenchServer, Connection } from "./postgres.ts";
import { type EngineProcess, startEngine } from "./process.ts";

/** How much is measured. */
export interface Scale {
  /** Samples of an idle engine's latency. */
  readonly samples: number;
  /** Seconds at 200 a second. */
  readonly offeredSeconds: number;
  /** Seconds that a drain should take. */
  readonly drainSeconds: number;
  readonly acceptSeconds: number;
  readonly history: number;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** What one engine did in one round. Latencies in milliseconds, the rest a second. */
export interface EngineFigures {
  readonly idle: Latency;
  readonly idleApart: Latency;
  readonly offered: Latency;
  readonly offeredApart: Latency;
  readonly noop1: number;
  readonly noop2: number;
  readonly steps1: number;
}

/** An engine that does not get on for so long, in milliseconds, is given up. */
const PATIENCE = 120_000;

export async function loadAdapter(peer: string): Promise<Adapter> {
  return ((await import(join(import.meta.dirname, "peers", peer, "adapter.ts"))) as { adapter: Adapter }).adapter;
}

/** A database of its own for an engine, with the table `events` and the engine's tables. */
export async function installEngine(server: BenchServer, peer: string, name: string): Promise<Connection> {
  const connection = await server.fresh(name);
  // Every engine keeps its events in the same table: ours.
  for (const engine of new Set(["daimon", peer])) {
    const installer = await startEngine(engine);
    await installer.install(connection).finally(() => installer.kill());
  }
  return connection;
}

/**
 * Start latency, drain and durable steps of an engine: one process that only enqueues, and one or two that carry.
 * "Apart": enqueued in another process than the one that carries.
 */
export async function measureEngine(peer: string, connection: Connection, scale: Scale): Promise<EngineFigures> {
  const bench = await openBench(peer, connection, 2);
  try {
    const { producer, workers } = bench;
    const [one, two] = workers as [EngineProcess, EngineProcess];
    await bench.drain("noop", 300, [two]);
    await bench.drain("steps", 100, [one]);
    const paceNoop = await bench.drain("noop", 1000, [one]);
    const paceSteps = await bench.drain("steps", 200, [one]);
    const most = (pace: number) => Math.max(500, Math.min(60_000, Math.round((pace * scale.drainSeconds) / 100) * 100));

    await one.start();
    const gap = 15;
    const latency = async (from: EngineProcess, rate?: number): Promise<Latency> => {
      const first = bench.next(10_000);
      const sent = rate
        ? await from.offer("noop", first, rate, scale.offeredSeconds)
        : await from.trickle("noop", first, scale.samples, gap);
      await bench.ended([one], sent.length);
      const starts = new Map(await one.starts());
      const times = sent.map(([n, at]) => starts.get(n)! - at);
      await one.reset();
      return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
    };
    await latency(one, 100);
    const figures = {
      idle: await latency(one),
      idleApart: await latency(producer),
      offered: await latency(one, 200),
      offeredApart: await latency(producer, 200),
    };
    await one.stop();
    return {
      ...figures,
      noop1: await bench.drain("noop", most(paceNoop), [one]),
      noop2: await bench.drain("noop", most(paceNoop), [one, two]),
      steps1: await bench.drain("steps", most(paceSteps), [one]),
    };
  } finally {
    await bench.close();
  }
}

/** Events accepted a second, each with its work, by so many callers at once. */
export async function measureAccept(
  peer: string,
  connection: Connection,
  options: { clients: number; seconds: number; batched: boolean; alone?: boolean },
): Promise<{ perSecond: number } & Latency> {
  const engine = await startEngine(peer);
  try {
    const acceptConnections = options.batched ? 4 : Math.min(options.clients, 64);
    await engine.open({ connection, carries: false, acceptConnections });
    const { perSecond, times } = await engine.accept({ alone: false, ...options });
    return { perSecond, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  } finally {
    await engine.kill();
  }
}

export interface Takeover {
  /** Milliseconds from the kill to the first run that goes on, and until all are done. */
  readonly first: number;
  readonly all: number;
  /** Steps that were kept before the kill and were executed again all the same. */
  readonly repeated: number;
}

/** Kills a process with -9 in the middle of so many runs, each in its third of five steps. */
export async function measureTakeover(
  peer: string,
  connection: Connection,
  { by, count, patienceSeconds }: { by: "another" | "restart"; count: number; patienceSeconds: number },
): Promise<Takeover | null> {
  const bench = await openBench(peer, connection, 0);
  const victim = await startEngine(peer);
  const successor = await startEngine(peer);
  try {
    await victim.open({ connection, carries: true, shortLease: true, linger: 600_000, name: "one" });
    await bench.producer.enqueueMany("steps", bench.next(count), count);
    await victim.start();
    while ((await victim.seen()).executed < 3 * count) await pause(20);
    const options = { connection, carries: true, shortLease: true };
    const another = by === "another";
    if (another) {
      await successor.open({ ...options, name: "two" });
      await successor.start();
      await pause(1500);
    }
    await victim.kill();
    const killed = now();
    if (!another) {
      await successor.open({ ...options, name: "one" });
      await successor.start();
    }
    const until = killed + patienceSeconds * 1000;
    while ((await successor.seen()).ended < count) {
      if (now() > until) return null;
      await pause(20);
    }
    const { firstStart, executed } = await successor.seen();
    const end = await bench.finished();
    return { first: firstStart! - killed, all: end - killed, repeated: executed - 3 * count };
  } finally {
    await victim.kill();
    await successor.kill();
    await bench.close();
  }
}

interface Bench {
  readonly producer: EngineProcess;
  readonly workers: readonly EngineProcess[];
  /** Numbers that no work has had yet. */
  next(count: number): number;
  /** Lays down a backlog, lets these processes carry it, and returns how much was done a second, from the first start. */
  drain(kind: Kind, count: number, by: readonly EngineProcess[]): Promise<number>;
  /** Waits until so much has ended in these processes. */
  ended(by: readonly EngineProcess[], count: number): Promise<void>;
  /** Waits until nothing is left in the database, and says when that was. */
  finished(): Promise<number>;
  close(): Promise<void>;
}

async function openBench(peer: string, connection: Connection, processes: number): Promise<Bench> {
  const { left } = await loadAdapter(peer);
  const producer = await startEngine(peer);
  const workers = await Promise.all(Array.from({ length: processes }, () => startEngine(peer)));
  const client = new pg.Client({ ...connection });
  await client.connect();
  await producer.open({ connection, carries: false });
  for (const [place, worker] of workers.entries()) {
    await worker.open({ connection, carries: true, name: `worker-${place}` });
  }
  let numbers = 0;
  const next = (count: number) => {
    numbers += count;
    return numbers - count;
  };
  const ended = async (by: readonly EngineProcess[], count: number) => {
    const until = now() + PATIENCE;
    for (;;) {
      const seen = await Promise.all(by.map((worker) => worker.seen()));
      const sum = seen.reduce((sum, one) => sum + one.ended, 0);
      if (sum >= count) return;
      if (now() > until) throw new Error(`${peer}: ${sum} of ${count} had ended after ${PATIENCE / 1000} s.`);
      await pause(20);
    }
  };
  const finished = async () => {
    while ((await client.query<{ left: boolean }>(left)).rows[0]!.left) await pause(2);
    return now();
  };
  return {
    producer,
    workers,
    next,
    ended,
    finished,
    async drain(kind, count, by) {
      for (const worker of by) await worker.reset();
      await producer.enqueueMany(kind, next(count), count);
      await Promise.all(by.map((worker) => worker.start()));
      await ended(by, count);
      const end = await finished();
      const seen = await Promise.all(by.map((worker) => worker.seen()));
      const starts = seen.map((one) => one.firstStart ?? Number.POSITIVE_INFINITY);
      await Promise.all(by.map((worker) => worker.stop()));
      for (const worker of by) await worker.reset();
      return (count * 1000) / (end - Math.min(...starts));
    },
    async close() {
      await Promise.all([producer, ...workers].map((one) => one.kill()));
      await client.end();
    },
  };
}
