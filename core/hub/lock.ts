import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { DaimonError } from "../base/errors.ts";

/**
 * Runs `work` while no other process does so with the same `file`. The lock is SQLite's, that is the kernel's:
 * it falls with the process that holds it, so there is no stale lock to find. Throws `hub.busy` after `patience` ms.
 */
export async function locked<Result>(file: string, work: () => Promise<Result>, patience = 30_000): Promise<Result> {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    const end = performance.now() + patience;
    while (!take(database)) {
      if (performance.now() > end) {
        throw new DaimonError(
          "hub.busy",
          `Another process has been writing to the hub for more than ${Math.round(patience / 1000)} s.`,
          `See who holds it: fuser ${file}`,
        );
      }
      await pause(2 + Math.random() * 10);
    }
    return await work();
  } finally {
    database.close();
  }
}

const BUSY = 5;

function take(database: DatabaseSync): boolean {
  try {
    database.exec("begin exclusive");
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === BUSY) return false;
    throw error;
  }
}
