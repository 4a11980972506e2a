import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Kind } from "./peers/adapter.ts";
import type { Connection } from "./postgres.ts";

/** How an engine is opened in a process of its own. */
export interface ProcessOptions {
  readonly connection: Connection;
  readonly carries: boolean;
  readonly acceptConnections?: number;
  readonly shortLease?: boolean;
  readonly linger?: number;
  readonly name?: string;
}

type Sent = [n: number, at: number][];

/** One process of an engine, seen from the bench. */
export interface EngineProcess {
  install(connection: Connection): Promise<void>;
  open(options: ProcessOptions): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  reset(): Promise<void>;
  seen(): Promise<{ started: number; firstStart: number | null; ended: number; executed: number }>;
  starts(): Promise<Sent>;
  enqueueMany(kind: Kind, first: number, count: number): Promise<void>;
  trickle(kind: Kind, first: number, count: number, gap: number): Promise<Sent>;
  offer(kind: Kind, first: number, rate: number, seconds: number): Promise<Sent>;
  accept(options: {
    clients: number;
    seconds: number;
    batched: boolean;
    alone: boolean;
  }): Promise<{ perSecond: number; times: number[] }>;
  /** kill -9. */
  kill(): Promise<void>;
}

const HOST = join(import.meta.dirname, "peers/host.ts");
/** A process that says nothing for so long, in milliseconds, is stuck. */
const SILENCE = 180_000;
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a process for an engine of bench/peers. */
export async function startEngine(peer: string): Promise<EngineProcess> {
  const child = fork(HOST, [peer], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
    env: { PATH: process.env.PATH, HOME: import.meta.dirname, NO_COLOR: "1", NODE_ENV: "production" },
  });
  running.add(child);
  let said = "";
  child.stderr!.on("data", (part) => {
    said = (said + part).slice(-2000);
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let calls = 0;
  const ready = new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code, signal) => {
      running.delete(child);
      const error = new Error(`The process of ${peer} ended (${signal ?? code}): ${said}`);
      reject(error);
      for (const call of waiting.values()) call.reject(error);
    });
  });
  child.on("message", ({ id, result, error }: { id?: number; result?: never; error?: string }) => {
    const call = waiting.get(id ?? -1);
    if (!call) return;
    waiting.delete(id!);
    if (error === undefined) call.resolve(result as never);
    else call.reject(new Error(`${peer}: ${error}`));
  });
  const call =
    (method: string) =>
    (...values: unknown[]) =>
      new Promise<never>((resolve, reject) => {
        const id = ++calls;
        const timer = setTimeout(() => reject(new Error(`${peer} ${method}: no answer. ${said}`)), SILENCE);
        waiting.set(id, {
          resolve: (value) => {
            clearTimeout(timer);
            resolve(value);
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        });
        child.send({ id, method, values });
      });
  await ready;
  const open = call("open");
  return {
    install: call("install"),
    open: (options) => open({ acceptConnections: 2, shortLease: false, name: "one", ...options }),
    start: call("start"),
    stop: call("stop"),
    reset: call("reset"),
    seen: call("seen"),
    starts: call("starts"),
    enqueueMany: call("enqueueMany"),
    trickle: call("trickle"),
    offer: call("offer"),
    accept: call("accept"),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}
