import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Takes the lock on `file` that one process may hold, waiting for its turn; returns how to give it back.
 * It is SQLite's file lock, which the operating system releases when its holder dies: it is never stale.
 */
export async function takeLock(file: string): Promise<() => void> {
  const holder = new DatabaseSync(file, { timeout: 0 });
  for (;;) {
    try {
      holder.exec("begin exclusive");
      return () => holder.close();
    } catch (error) {
      const BUSY = 5;
      if ((error as { errcode?: number }).errcode !== BUSY) {
        holder.close();
        throw error;
      }
      await sleep(5);
    }
  }
}
