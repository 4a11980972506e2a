/**
 * `npm test`: every `*.test.ts` in a process of its own, one more at a time than there are processors (some wait), in an
 * environment that holds nothing of this machine's but PATH, all on one Postgres server.
 * `npm test -- core/runs cli` runs the files whose path contains one of the words.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../base/environment.ts";
import { startTestServer } from "./database.ts";
import type { TestLine } from "./reporter.ts";

/** A file that takes longer is ended with all that it started, and has failed. */
const MOST_MILLISECONDS = 420_000;
const SLOWEST = 10;
/** The files that take longest and are not the largest; what a run prints as slowest belongs here. */
const LONGEST = [
  "core/test/chaos.test.ts",
  "core/test/docs.test.ts",
  "core/console/web/browser.test.ts",
  "core/test/catalog.test.ts",
  "core/test/start.test.ts",
  "core/console/web/strain.test.ts",
  "core/registry/add.test.ts",
  "core/console/web/issues.test.ts",
  "core/test/added.test.ts",
  "core/test/processes.test.ts",
  "core/hub/writes.test.ts",
  "catalog/booking/index.test.ts",
  "core/console/web/repair.test.ts",
  "core/test/clock.test.ts",
  "core/cli/system.test.ts",
];
/** Where Node keeps what it compiled, as `bin/daimon.js` has it. */
const COMPILED = join(ROOT, "node_modules/.cache/daimon");
/** What all tests together may need at a time, with room to spare. */
const LEAST_MEMORY_BYTES = 6 * 1024 ** 3;

interface FileOutcome {
  readonly file: string;
  readonly milliseconds: number;
  readonly lines: readonly TestLine[];
  /** Why the file failed as a whole: it threw, was killed, or holds no test. */
  readonly problem: string | null;
  /** What it printed. */
  readonly output: string;
}

const words = process.argv.slice(2).filter((word) => word !== "--");
const files = findFiles(words);
if (files.length === 0) {
  console.error(`No test file's path contains ${words.map((word) => `"${word}"`).join(" or ")}.`);
  process.exit(1);
}
process.exitCode = await runAll(files);

function findFiles(words: readonly string[]): string[] {
  const all = globSync("{core,capabilities,catalog}/**/*.test.ts", {
    cwd: ROOT,
    exclude: (path) => path.includes("node_modules"),
  });
  const wanted = all.filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
  // The longest first, so that none is left for the end; of the others the largest, which are the slower ones more often than not.
  const rank = (file: string) => (LONGEST.includes(file) ? LONGEST.indexOf(file) : LONGEST.length);
  const sizeOf = (file: string) => statSync(join(ROOT, file)).size;
  return wanted.sort((one, other) => rank(one) - rank(other) || sizeOf(other) - sizeOf(one));
}

async function runAll(files: readonly string[]): Promise<number> {
  const began = performance.now();
  const folder = mkdtempSync(join(quickFolder(), "daimon-"));
  // Some tests step down to another user, who must be able to come through.
  chmodSync(folder, 0o755);
  for (const name of ["home", "tmp"]) mkdirSync(join(folder, name));
  chmodSync(join(folder, "tmp"), 0o1777);
  compileOnce();
  const server = await startTestServer(folder);
  const underway = new Set<ChildProcess>();
  const endAll = (signal: NodeJS.Signals) => {
    for (const child of underway) killGroup(child);
    rmSync(folder, { recursive: true, force: true });
    void server.stop().finally(() => process.kill(process.pid, signal));
  };
  process.once("SIGINT", endAll).once("SIGTERM", endAll);

  const environment = cleanEnvironment(folder, server.url);
  const queue = [...files];
  const outcomes: FileOutcome[] = [];
  const lane = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const outcome = await runFile(file, folder, environment, underway);
      tell(outcome);
      outcomes.push(outcome);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, lane));
  await server.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  return summarize(outcomes, performance.now() - began);
}

/**
 * Where tests keep their files: in memory, where Linux has room for that and programs may be started. A database made there
 * costs a tenth of what it costs on a disk; that a machine loses its power is not what a test can try.
 */
function quickFolder(): string {
  const memory = "/dev/shm";
  const probe = join(memory, `daimon-${process.pid}`);
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize < LEAST_MEMORY_BYTES) return tmpdir();
    writeFileSync(probe, "", { mode: 0o755 });
    accessSync(probe, constants.X_OK);
    return memory;
  } catch {
    return tmpdir(); // There is none, or it is closed to programs, as containers have it.
  } finally {
    rmSync(probe, { force: true });
  }
}

/** Only what is needed: variables of the machine hide failures, and make some of their own. */
function cleanEnvironment(folder: string, databaseUrl: string): NodeJS.ProcessEnv {
  const { PATH, CI } = process.env;
  return {
    PATH,
    HOME: join(folder, "home"),
    TMPDIR: join(folder, "tmp"),
    LANG: "C.UTF-8",
    ...(CI ? { CI } : {}),
    DAIMON_TEST_DATABASE_URL: databaseUrl,
    NODE_COMPILE_CACHE: COMPILED,
  };
}

/**
 * Loads Daimon in a process that ends by itself, and so keeps what it compiled. After a fresh `npm ci` nothing is kept, and
 * the longest tests end theirs with kill -9: each start would compile all of it anew.
 */
function compileOnce(): void {
  const code = 'await import("./core/house/start.ts")';
  const options = { cwd: ROOT, env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILED } };
  execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "--eval", code], options);
}

async function runFile(
  file: string,
  folder: string,
  env: NodeJS.ProcessEnv,
  underway: Set<ChildProcess>,
): Promise<FileOutcome> {
  const began = performance.now();
  const results = join(folder, `${file.replaceAll("/", "-")}.jsonl`);
  const reporter = join(ROOT, "core/test/reporter.ts");
  // A group of its own, so that all that it started ends with it.
  const child = spawn(
    process.execPath,
    ["--no-warnings", `--test-reporter=${reporter}`, `--test-reporter-destination=${results}`, file],
    { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  underway.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-20_000);
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child);
  }, MOST_MILLISECONDS);
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  underway.delete(child);
  killGroup(child);
  // What it printed last is still on its way, unless something that left the group holds the pipe.
  if (!child.stdout.readableEnded) await Promise.race([once(child, "close"), sleep(1000)]);

  const text = existsSync(results) ? readFileSync(results, "utf8") : "";
  const lines = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as TestLine);
  const failed = lines.some((line) => line.outcome === "failed");
  const problem = late
    ? `It was not done after ${MOST_MILLISECONDS / 1000} s, and was ended.`
    : signal
      ? `It was ended by ${signal}.`
      : code !== 0 && !failed
        ? `It ended with ${code}, outside of its tests.`
        : lines.length === 0
          ? "It holds no test."
          : null;
  return { file, milliseconds: performance.now() - began, lines, problem, output };
}

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, "SIGKILL");
  } catch {} // It is gone already.
}

function count(lines: readonly TestLine[], outcome: TestLine["outcome"]): number {
  return lines.filter((line) => line.outcome === outcome).length;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function tell({ file, lines, problem, output, milliseconds }: FileOutcome): void {
  const failures = lines.filter((line) => line.outcome === "failed");
  const ok = failures.length === 0 && !problem;
  const skipped = count(lines, "skipped");
  const counts = `${count(lines, "passed")} passed${skipped ? `, ${skipped} skipped` : ""}`;
  console.log(`${ok ? "✔" : "✘"} ${file}  ${counts}  ${seconds(milliseconds)}`);
  for (const { name, text } of failures) console.log(`\n  ✘ ${name}\n${indent(text)}\n`);
  if (problem) console.log(`\n  ✘ ${problem}\n`);
  if (!ok && output.trim()) console.log(`  It printed:\n${indent(output.trim())}\n`);
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}

/** Tells of all files together, and returns what to exit with. */
function summarize(outcomes: readonly FileOutcome[], milliseconds: number): number {
  const skipped = outcomes.flatMap(({ file, lines }) =>
    lines.filter((line) => line.outcome === "skipped").map((line) => `  ${file}: ${line.name} (${line.text})`),
  );
  if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.join("\n")}`);
  const slowest = outcomes
    .toSorted((one, other) => other.milliseconds - one.milliseconds)
    .slice(0, SLOWEST)
    .map((outcome) => `  ${seconds(outcome.milliseconds).padStart(8)}  ${outcome.file}`);
  if (outcomes.length > 1) console.log(`\nSlowest files:\n${slowest.join("\n")}`);
  const bad = outcomes.filter(({ lines, problem }) => problem || count(lines, "failed") > 0);
  if (bad.length > 0) console.log(`\nFailed:\n${bad.map(({ file }) => `  ${file}`).join("\n")}`);

  const lines = outcomes.flatMap((outcome) => outcome.lines);
  const problems = outcomes.filter((outcome) => outcome.problem).length;
  const [passed, failed] = [count(lines, "passed"), count(lines, "failed") + problems];
  console.log(`\n${outcomes.length} files in ${seconds(milliseconds)}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
