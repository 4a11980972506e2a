import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Resident bytes of a process; NaN where there is no /proc. */
export function residentBytes(pid: number): number {
  return readBytes(`/proc/${pid}/status`, /VmRSS:\s+(\d+) kB/);
}

/** Bytes of these processes together, what they share counted once (PSS). */
export function proportionalBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readBytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m), 0);
}

/** The processes of the server in this home: its first one, and those that it has started. */
export function findPostgres(home: string): number[] {
  try {
    const file = join(home, "postgres/data/postmaster.pid");
    return familyOf([Number(readFileSync(file, "utf8").split("\n")[0])]);
  } catch {
    return [];
  }
}

/** These processes and all that they have started. */
export function familyOf(pids: readonly number[]): number[] {
  const parents = new Map(processes().map((pid) => [pid, parentOf(pid)]));
  const family = new Set(pids.filter((pid) => parents.has(pid)));
  for (let before = -1; before !== family.size; ) {
    before = family.size;
    for (const [pid, parent] of parents) if (family.has(parent)) family.add(pid);
  }
  return [...family];
}

function processes(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Boolean);
  } catch {
    return [];
  }
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}

function readBytes(file: string, pattern: RegExp): number {
  try {
    return Number(pattern.exec(readFileSync(file, "utf8"))?.[1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
