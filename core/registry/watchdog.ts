import { spawn } from "node:child_process";

/** How long one capability may keep this process from doing anything else. */
const BUSY_SECONDS = 10;

/** Reads a folder a line. The next line calls the guard of the last one off, and so does the end of this process. */
const LOOK_ON = `
while read -r folder; do
  kill $guard 2>&-
  (
    trap 'kill $sleep 2>&-; exit' TERM
    sleep ${BUSY_SECONDS} 2>&- &
    sleep=$!
    wait $sleep
    echo "The capability in $folder has kept the process busy for ${BUSY_SECONDS} seconds: its index.ts loops when it is imported." >&2
    echo "Next: rm -r '$folder', or move it away, and start again." >&2
    kill -9 $PPID
  ) &
  guard=$!
done
kill $guard 2>&-`;

/**
 * Looks on from a shell while capabilities are imported one after another: one that loops for ever leaves this process no
 * turn to say so. Then the shell says it, with the folder's name, and ends the process. (A thread would take more memory
 * than all capabilities, and not give it back.)
 */
export function startWatchdog(): { watch(folder: string): void; stop(): void } {
  const shell = spawn("sh", ["-c", LOOK_ON], { stdio: ["pipe", "ignore", "inherit"] });
  // Without a shell nobody looks on, and all else goes as it should.
  shell.on("error", () => {});
  shell.stdin.on("error", () => {});
  shell.unref();
  return { watch: (folder) => void shell.stdin.write(`${folder}\n`), stop: () => void shell.stdin.end() };
}
