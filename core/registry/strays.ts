import { fileURLToPath } from "node:url";
import { guardedFolder } from "./imports.ts";

/**
 * Tells `listener` of errors that a capability's code let go of (a promise nobody awaits, a timer that throws), with
 * the real path of its folder, instead of ending the process; any other still ends it. Returns how to stop.
 */
export function listenForStrays(listener: (folder: string, error: Error) => void): () => void {
  const hear = (error: unknown) => {
    const urls = error instanceof Error ? (error.stack?.match(/file:\/\/[^\s)]+(?=:\d+:\d+)/g) ?? []) : [];
    const folder = urls.map((url) => guardedFolder(fileURLToPath(url))).find(Boolean);
    if (!folder) throw error;
    listener(folder, error as Error);
  };
  process.on("uncaughtException", hear).on("unhandledRejection", hear);
  return () => process.off("uncaughtException", hear).off("unhandledRejection", hear);
}
