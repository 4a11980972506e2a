import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { now, pause } from "./figures.ts";

const ROOT = join(import.meta.dirname, "..");

/** A real `daimon start` in a process of its own. */
export interface RunningHouse {
  readonly port: number;
  readonly pid: number;
  /** Milliseconds from the start of the process to 200 on /readyz. */
  readonly readyAfter: number;
  /** SIGTERM, and waits for the end; after `patience` ms kill -9 (0: at once). */
  stop(patience?: number): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts the whole system, or some roles of it, with nothing of this machine's environment but PATH. Throws when it is
 * not ready within 60 s.
 */
export async function startHouse(options: {
  home: string;
  only?: string;
  values?: Record<string, string>;
}): Promise<RunningHouse> {
  const { only = "web,worker,clock" } = options;
  const port = await freePort();
  const began = now();
  const child = spawn(process.execPath, [join(ROOT, "bin/daimon.js"), "start", "--only", only], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: options.home,
      DAIMON_HOME: options.home,
      PORT: String(port),
      ...options.values,
    },
  });
  running.add(child);
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (part) => {
      said = (said + part).slice(-2000);
    });
  }
  child.once("exit", () => running.delete(child));
  const ready = () => (only.includes("web") ? isReady(port) : said.includes("Daimon is ready"));
  while (!(await ready())) {
    if (child.exitCode !== null) throw new Error(`daimon start ended with ${child.exitCode}: ${said}`);
    if (now() - began > 60_000) throw new Error(`daimon start was not ready after 60 s: ${said}`);
    await pause(2);
  }
  return {
    port,
    pid: child.pid!,
    readyAfter: now() - began,
    async stop(patience = 30_000) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill(patience === 0 ? "SIGKILL" : "SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patience);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** What `daimon start` wrote for the CLI: where it listens, and a token. */
export function readServerFile(home: string): { url: string; token: string } {
  return JSON.parse(readFileSync(join(home, "server.json"), "utf8"));
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
