import { readFileSync, readlinkSync } from "node:fs";

let known: string | null | undefined;

/**
 * Names where a process number means one process: this boot of this kernel, this namespace (pid_namespaces(7)). Null
 * where that cannot be told; then nobody here is known by a number. It is looked up once: it is asked for each second.
 */
export function pidSpace(): string | null {
  if (known === undefined) known = readPidSpace();
  return known;
}

function readPidSpace(): string | null {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return null;
  }
}

/** True while a process of this space has the number, be it somebody else's or one that is stopped. */
export function isRunning(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
