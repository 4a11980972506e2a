import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRunning } from "../../base/neighbours.ts";

/** What Postgres writes into `postmaster.pid` (its `miscadmin.h`, LOCK_FILE_LINE_*). */
export interface PidFile {
  readonly pid: number;
  readonly socketFolder: string;
  /** `starting`, `stopping`, `ready`; empty when not written yet. */
  readonly status: string;
}

/** Reads `postmaster.pid` of a data folder, or null when there is none. */
export function readPidFile(data: string): PidFile | null {
  let lines: string[];
  try {
    lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return null;
  }
  return { pid: Number(lines[0]), socketFolder: lines[4] ?? "", status: (lines[7] ?? "").trim() };
}

/** Whether the process is one of the server on this data folder (a real path): all of them work in it. */
export function worksIn(pid: number, data: string): boolean {
  if (!isRunning(pid)) return false;
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-p", String(pid), "-o", "command="], { encoding: "utf8" });
    return stdout.includes(`-D ${data}`);
  }
  try {
    if (folderOf(pid) !== data) return false;
    return readFileSync(`/proc/${pid}/comm`, "utf8") === "postgres\n";
  } catch {
    return false;
  }
}

/** Where a process works by now, also when that was moved or removed; undefined where nothing tells. */
export function folderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, "");
  } catch {
    return undefined;
  }
}

/**
 * Before a start, when no server answers: ends what a killed server left, because a backend that lives holds
 * the shared memory, and removes a `postmaster.pid` whose number now belongs to somebody else, because
 * Postgres would believe it. A number that nobody has is left for Postgres to judge.
 */
export async function clearLeftovers(data: string): Promise<void> {
  const left = readPidFile(data);
  const suspects = process.platform === "linux" ? readdirSync("/proc").map(Number) : [left?.pid ?? 0];
  await Promise.all(suspects.filter((pid) => worksIn(pid, data)).map((pid) => end(pid, data, "SIGQUIT")));
  if (left && isRunning(left.pid)) rmSync(join(data, "postmaster.pid"), { force: true });
}

/** Signals a process of the server and waits until it is gone: after 30 s (2 s for SIGQUIT) with SIGKILL. */
export async function end(pid: number, data: string, signal: "SIGINT" | "SIGQUIT"): Promise<void> {
  signalTo(pid, signal);
  const patience = Date.now() + (signal === "SIGQUIT" ? 2_000 : 30_000);
  while (worksIn(pid, data)) {
    await sleep(3);
    if (Date.now() > patience) signalTo(pid, "SIGKILL");
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
