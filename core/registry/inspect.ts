import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { ROOT } from "../base/environment.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Failure } from "../define/run.ts";
import { type Description, describe } from "./describe.ts";
import { importFailure, loadCapability } from "./load.ts";

/**
 * Loads a capability that nobody has agreed to yet and tells what it can do: in a process of its own, which may read
 * nothing but the folder and core's code, writes nothing, starts nothing, and sees no environment. (It may use the
 * network: there is nothing that it could tell.) Throws what loading it throws, and `capability.slow`.
 */
export async function inspect(link: string): Promise<Description> {
  const folder = await realpath(link);
  // The packages may be a link: into a worktree they are.
  const packages = [`${ROOT}/node_modules`, realpathSync(`${ROOT}/node_modules`)];
  const readable = [folder, `${ROOT}/core`, ...packages, `${ROOT}/package.json`];
  const flags = ["--permission", "--no-warnings", ...readable.map((path) => `--allow-fs-read=${path}`)];
  const bounds = { timeout: 7_000, killSignal: "SIGKILL", maxBuffer: 1 << 24 } as const;
  return new Promise((resolve, reject) => {
    const words = [...flags, import.meta.filename, folder];
    execFile(process.execPath, words, { cwd: folder, env: {}, ...bounds }, (error, stdout) => {
      const line = stdout.trimEnd().split("\n").at(-1) ?? "";
      if (error || !line.startsWith('{"')) return reject(stopped(error));
      const outcome = JSON.parse(line) as { description: Description } | { problem: Failure };
      if ("description" in outcome) return resolve(outcome.description);
      const { code, message, next } = outcome.problem;
      reject(new DaimonError(code, message, next));
    });
  });
}

const stopped = (cause: Error | null) =>
  new DaimonError(
    "capability.slow",
    "index.ts ended the process or kept it busy for 7 seconds when it was imported.",
    "Do nothing at the top of a module: do it in a handler.",
    { cause },
  );

if (import.meta.main) {
  const folder = process.argv[2]!;
  const tell = (outcome: object) => process.stdout.write(`\n${JSON.stringify(outcome)}\n`, () => process.exit(0));
  const hear = (error: unknown) => tell({ problem: toFailure(importFailure(error, folder)) });
  process.on("uncaughtException", hear).on("unhandledRejection", hear);
  const outcome = await loadCapability(folder, new Date()).then(
    (installed) => ({ description: describe(installed) }),
    (error: unknown) => ({ problem: toFailure(error) }),
  );
  // A rejection that nobody awaits is told of a turn later.
  setImmediate(tell, outcome);
}
