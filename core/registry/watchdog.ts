import { Worker } from "node:worker_threads";

/** How long one capability may keep this thread from doing anything else. */
const BUSY_MILLISECONDS = 10_000;

/**
 * Looks on from a thread of its own while capabilities are imported one after another: one that loops for ever leaves
 * this thread no turn to say so. Then the process ends, with a sentence that names the folder.
 */
export function startWatchdog(): { watch(folder: string): void; stop(): void } {
  const thread = new Worker(`(${lookOn})(${BUSY_MILLISECONDS})`, { eval: true });
  return { watch: (folder) => thread.postMessage(folder), stop: () => void thread.terminate() };
}

/** What the thread does. It is handed over as text, since a file of its own would have to be stripped of its types there. */
function lookOn(milliseconds: number): void {
  const { parentPort } = process.getBuiltinModule("node:worker_threads");
  const { writeSync } = process.getBuiltinModule("node:fs");
  let timer: NodeJS.Timeout | undefined;
  parentPort!.on("message", (folder: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const busy = `The capability in ${folder} has kept the process busy for ${milliseconds / 1000} seconds`;
      const next = `Next: rm -r '${folder}', or move it away, and start again.`;
      writeSync(2, `${busy}: its index.ts loops when it is imported.\n${next}\n`);
      // No gentler end would ever get its turn.
      process.kill(process.pid, "SIGKILL");
    }, milliseconds);
  });
}
