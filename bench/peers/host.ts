// One process of an engine: told over IPC what to do, it measures with the clock that all processes share.
// `node bench/peers/host.ts <engine>`; see EngineProcess in ../process.ts for the other end.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createBatch } from "../../core/base/batch.ts";
import { now, pause } from "../figures.ts";
import { githubBody } from "../payload.ts";
import type { Adapter, Arrival, Handlers, Kind, OpenEngine, OpenOptions } from "./adapter.ts";

const peer = process.argv[2]!;
const { adapter } = (await import(join(import.meta.dirname, peer, "adapter.ts"))) as { adapter: Adapter };

let engine: OpenEngine | undefined;
/** When the handler of each piece of work was first started here. */
let started = new Map<number, number>();
let firstStart: number | null = null;
let ended = 0;
let executed = 0;
/** Milliseconds that the third step takes: the moment in which a process is killed. */
let linger = 0;

const begin = (n: number) => {
  if (started.has(n)) return;
  const at = now();
  firstStart ??= at;
  started.set(n, at);
};

const handlers: Handlers = {
  noop(n) {
    begin(n);
    ended++;
  },
  async steps(n, step) {
    begin(n);
    let sum = 0;
    for (let place = 1; place <= 5; place++) {
      const value = await step(`step ${place}`, async () => {
        executed++;
        if (place === 3 && linger > 0) await pause(linger);
        return { n, place };
      });
      sum += (value as { place: number }).place;
    }
    ended++;
    return { sum };
  },
};

const methods = {
  about: async () => ({ settings: adapter.settings }),
  install: (connection: OpenOptions["connection"]) => adapter.install(connection),
  async open(options: Omit<OpenOptions, "handlers"> & { linger?: number }) {
    linger = options.linger ?? 0;
    engine = await adapter.open({ ...options, handlers });
  },
  start: () => engine!.start(),
  stop: () => engine!.stop(),
  async reset() {
    started = new Map();
    firstStart = null;
    ended = 0;
    executed = 0;
  },
  /** What was carried here since the last reset. */
  seen: async () => ({ started: started.size, firstStart, ended, executed }),
  starts: async () => [...started],
  enqueueMany: (kind: Kind, first: number, count: number) => engine!.enqueueMany(kind, first, count),
  /** One at a time, each `gap` ms after the one before: when each was sent. */
  async trickle(kind: Kind, first: number, count: number, gap: number) {
    const sent: [number, number][] = [];
    for (let n = first; n < first + count; n++) {
      sent.push([n, now()]);
      await engine!.enqueue(kind, n);
      await pause(gap * (0.5 + Math.random()));
    }
    return sent;
  },
  /** So many a second, whether the engine keeps up or not: when each was due. */
  async offer(kind: Kind, first: number, rate: number, seconds: number) {
    const sent: [number, number][] = [];
    const all: Promise<void>[] = [];
    const began = now();
    for (let place = 0; place < rate * seconds; place++) {
      const due = began + (place * 1000) / rate;
      if (due > now()) await pause(due - now());
      sent.push([first + place, due]);
      all.push(engine!.enqueue(kind, first + place));
    }
    await Promise.all(all);
    return sent;
  },
  accept,
};

const WARM_MILLISECONDS = 1000;

/** `clients` callers, each with its next arrival as soon as the one before is committed. */
async function accept(options: { clients: number; seconds: number; batched: boolean; alone: boolean }) {
  const body = Buffer.from(githubBody(1));
  const parsed = JSON.parse(body.toString());
  const headers = {
    host: "127.0.0.1:4242",
    "content-type": "application/json",
    "user-agent": "GitHub-Hookshot/bench",
    "x-github-event": "push",
    "x-hub-signature-256": `sha256=${"0".repeat(64)}`,
  };
  const many = engine!.acceptMany;
  const batch = createBatch(
    async (arrivals: Arrival[]) => {
      await many!(arrivals);
      return arrivals;
    },
    { most: 512, lanes: 2 },
  );
  const one = options.batched && many ? batch : (arrival: Arrival) => engine!.accept(arrival);
  const times: number[] = [];
  let from = Number.POSITIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  let n = 0;
  const client = async () => {
    while (now() < until) {
      const key = randomUUID();
      const began = now();
      const delivery = { ...headers, "x-github-delivery": key };
      await one({ id: `evt_${key}`, key, n: ++n, headers: delivery, body, parsed, alone: options.alone });
      const end = now();
      if (end >= from && end < until) times.push(end - began);
    }
  };
  const all = Promise.all(Array.from({ length: options.clients }, client));
  await pause(WARM_MILLISECONDS);
  from = now();
  until = from + options.seconds * 1000;
  await all;
  return { perSecond: times.length / options.seconds, times: times.length > 20_000 ? sample(times) : times };
}

/** Enough of them for a quantile, so that the pipe is not filled. */
function sample(times: readonly number[]): number[] {
  const step = times.length / 20_000;
  return Array.from({ length: 20_000 }, (_, place) => times[Math.floor(place * step)]!);
}

type Call = { id: number; method: keyof typeof methods; values: unknown[] };

process.on("message", async ({ id, method, values }: Call) => {
  try {
    const result = await (methods[method] as (...values: unknown[]) => Promise<unknown>)(...values);
    process.send!({ id, result });
  } catch (error) {
    process.send!({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
process.once("disconnect", () => process.exit(0));
process.send!({ ready: true });
