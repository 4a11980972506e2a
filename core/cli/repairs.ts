import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readEnvironment } from "../base/environment.ts";
import type { EventItem, Preview, Progress, Run, RunDetail, RunStatus } from "../console/web/api.ts";
import { FINISHED } from "../define/run.ts";
import { call } from "./connection.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { change, type ReadOptions, sayWhenStopped } from "./read.ts";
import { confirm, line, openLine, print, printJson, say, status, table } from "./terminal.ts";

/** Of the commands that put many right. */
export interface ManyOptions extends ReadOptions {
  readonly preview?: boolean;
  readonly yes?: boolean;
  readonly wait?: boolean;
}

const KINDS = {
  replay: { path: "/api/replays", thing: "event", did: "replayed" },
  retry: { path: "/api/retries", thing: "run", did: "retried" },
} as const;

/**
 * Replays the events, or retries the runs, of a filter: after a look at how many they are, and a yes. Throws
 * `cli.usage` without a filter, and `run.failed` when `--wait` sees one fail.
 */
export async function putRight(kind: keyof typeof KINDS, filter: object, options: ManyOptions): Promise<void> {
  const { path, thing } = KINDS[kind];
  if (Object.values(filter).every((value) => value === undefined))
    throw usage(`Nothing says which ${thing}s.`, "Give an id, or a filter such as --since 7d.");
  const found = await preview(path, filter);
  if (options.preview && options.json) return printJson(found);
  if (!options.json && (options.preview || !options.yes)) show(found, thing);
  if (options.preview || found.count === 0) return say(`${plural(found.count, thing)}.`);
  const verb = `${kind[0]!.toUpperCase()}${kind.slice(1)}`;
  await confirm(`${verb} ${plural(found.count, thing)}?`, options);
  const request = ["POST", path, { filter: found.filter }] as const;
  const { runId } = await change<{ runId: string }>(request, options, (answer) => print(answer.runId));
  if (options.wait) await follow(runId, KINDS[kind].did);
  else say(`Next: daimon runs watch ${runId}`);
}

const plural = (count: number, thing: string) => `${count} ${thing}${count === 1 ? "" : "s"}`;

async function preview(path: string, filter: object): Promise<Preview<EventItem & Run>> {
  const tell = openLine();
  let found = await call<Preview<EventItem & Run>>("POST", path, { filter, preview: true });
  while (found.next) {
    tell(`Found ${found.count} so far; looking on.`);
    const { cursor, count, items } = { ...found, cursor: found.next };
    found = await call("POST", path, { filter: found.filter, preview: true, cursor });
    found = { ...found, items, count: found.count + count };
  }
  tell();
  return found;
}

function show({ items, count }: Preview<EventItem & Run>, thing: string): void {
  const rows = items.map((one) => [
    one.id,
    status(one.outcome ?? one.status),
    line(one.handler ?? `${one.source} ${one.type}`),
    line(one.error?.message ?? one.reason ?? ""),
  ]);
  if (rows.length > 0) table(["ID", "STATE", "WHAT", ""], rows);
  if (count > rows.length) say(`… and ${plural(count - rows.length, `more ${thing}`)}`);
}

/** Tells how far it is until all runs that came of it are finished. Throws `run.failed`, exit 5. */
async function follow(runId: string, did: string): Promise<void> {
  const tell = openLine();
  void sayWhenStopped();
  for (let pause = 100; ; pause = Math.min(1000, pause * 1.3)) {
    const run = await call<RunDetail>("GET", `/api/runs/${runId}`);
    const { runs = {} } = run.progress!;
    tell(progressWords(run.progress!, did));
    if (FINISHED.includes(run.status) && countOf(runs, ACTIVE) === 0) {
      tell();
      if (run.status !== "completed")
        throw new CliError(EXIT.run, "run.failed", `It is ${run.status}.`, `daimon runs show ${runId}`);
      if (!runs.failed) return;
      const next = `daimon runs list --order ${runId} --status failed`;
      throw new CliError(EXIT.run, "run.failed", `${runs.failed} of its runs failed.`, next);
    }
    await sleep(pause);
  }
}

const ACTIVE = ["queued", "running", "waiting"] as const;

const countOf = (runs: NonNullable<Progress["runs"]>, statuses: readonly RunStatus[]) =>
  statuses.reduce((sum, one) => sum + (runs[one] ?? 0), 0);

/** `37 of 37 replayed: 30 completed, 2 failed, 5 under way`. */
export function progressWords({ total, done, runs = {} }: Progress, did = "done"): string {
  if (total === null) return "Finding them.";
  const parts = (["completed", "failed", "canceled"] as const).flatMap((one) =>
    runs[one] ? `${runs[one]} ${one}` : [],
  );
  const active = countOf(runs, ACTIVE);
  if (active > 0) parts.push(`${active} under way`);
  return `${done} of ${total} ${did}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** Lets a person change data in `$EDITOR`. Throws `cli.usage` for what is no JSON, and `cli.declined` when nothing was changed. */
export async function editData(data: unknown): Promise<unknown> {
  const { spawnSync } = await import("node:child_process");
  const { values } = readEnvironment();
  const editor = values.VISUAL || values.EDITOR || "vi";
  const file = join(tmpdir(), `daimon-${process.pid}.json`);
  const before = `${JSON.stringify(data, null, 2)}\n`;
  writeFileSync(file, before, { mode: 0o600, flag: "wx" });
  try {
    const { status: code, error } = spawnSync("/bin/sh", ["-c", `${editor} "$0"`, file], { stdio: "inherit" });
    if (error || code !== 0)
      throw usage(`The editor ended with ${error?.message ?? code}.`, "Set EDITOR to one that runs.");
    const after = readFileSync(file, "utf8");
    if (after === before)
      throw new CliError(EXIT.failed, "cli.declined", "Nothing was changed, so nothing was replayed.");
    return parseJson(after, "What was edited");
  } finally {
    rmSync(file, { force: true });
  }
}

/** JSON, `@file`, or `@-` for stdin. Throws `cli.usage`. */
export function parseData(text: string): unknown {
  let read = text;
  try {
    if (text.startsWith("@")) read = readFileSync(text === "@-" ? 0 : text.slice(1), "utf8");
  } catch (error) {
    throw usage(`--data cannot be read: ${(error as Error).message}.`, "Give JSON, @file, or @- for stdin.");
  }
  return parseJson(read, "--data");
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usage(`${what} cannot be read: ${(error as Error).message}.`, "Give JSON, @file, or @- for stdin.");
  }
}
