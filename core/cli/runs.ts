import { setTimeout as sleep } from "node:timers/promises";
import { formatDuration } from "../base/durations.ts";
import type { Pausable, RunDetail, Step, TriggerPage } from "../console/web/api.ts";
import { FINISHED, stepState } from "../define/run.ts";
import { call } from "./connection.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { change, ownerZone, pathOf, query, type ReadOptions, sayWhenStopped, showList } from "./read.ts";
import { type ManyOptions, progressWords, putRight } from "./repairs.ts";
import { dim, facts, line, paint, pretty, print, printJson, say, status, table, time, took, usd } from "./terminal.ts";

export const listRuns = ({ text, ...options }: ReadOptions & { text?: string }) =>
  showList<RunDetail>(`/api/runs${query({ ...options, q: text })}`, options, {
    none: text || Object.keys(options)[0] ? "No run is like that." : "No runs. Send an event: daimon send github push",
    columns: {
      ID: (run) => run.id,
      STATUS: (run) => status(run.status),
      CREATED: (run, zone) => time(run.createdAt, zone),
      TOOK: (run) => took(run.startedAt, run.finishedAt),
      COST: (run) => usd(run.usd),
      HANDLER: (run) =>
        line(`${run.handler} ${run.progress ? progressWords(run.progress) : (run.error?.message ?? "")}`),
    },
  });

export async function showRun(id: string, options: ReadOptions) {
  const run = await call<RunDetail>("GET", await pathOf("/api/runs", id));
  if (options.json) return printJson(run);
  printRun(run, await ownerZone());
}

/** A run with the tree of its steps. */
export function printRun(run: RunDetail, zone: string): void {
  facts([
    ["Run", paint("bold", run.id)],
    ["Handler", line(run.handler)],
    ["Status", `${status(run.status)} ${run.status === "waiting" ? waitsFor(run, zone) : ""}`],
    ...(run.events ?? []).map((event, place): [string, string] => [
      place === 0 ? "Event" : "",
      `${event.id} ${line(`${event.source} ${event.type}`)}`,
    ]),
    ["Created", time(run.createdAt, zone)],
    ["Took", took(run.startedAt, run.finishedAt)],
    ["Tries", run.attempts > 0 ? `${run.attempts} failed, at most ${run.maxAttempts}` : null],
    ["Progress", run.progress && progressWords(run.progress)],
    ["Cost", usd(run.usd)],
    ["Error", run.error && paint("red", line(`${run.error.message} (${run.error.code})`))],
    ["Next", run.error?.next && line(run.error.next)],
  ]);
  if (run.steps.length > 0) printSteps(run);
  if (run.result !== null && run.result !== undefined) print(`${dim("Result")}  ${pretty(run.result)}`);
}

/** What comes after "waits" for a run that does. */
export function waitsFor({ waiting, wakeAt }: Pick<RunDetail, "waiting" | "wakeAt">, zone: string): string {
  if (!waiting) return "";
  if (waiting.kind === "event") return line(`for the event ${waiting.source} ${waiting.type}`);
  if (waiting.kind === "approval") return `for your answer: daimon approvals show ${waiting.approvalId}`;
  if (waiting.kind === "paused") {
    const [kind, name] = line(waiting.name).split(":", 2);
    return `until the ${kind} ${name} goes on: daimon ${kind === "source" ? "events" : "runs"} resume ${name}`;
  }
  if (waiting.kind === "debounce") return `for more events, ${waiting.events} so far, until ${time(wakeAt, zone)}`;
  if (waiting.kind === "rate") {
    const { limit, milliseconds } = waiting;
    return `for its turn (at most ${limit} begin in ${formatDuration(milliseconds)}) until ${time(wakeAt, zone)}`;
  }
  return `${waiting.kind === "retry" ? "for its next try" : "asleep"} until ${time(wakeAt, zone)}`;
}

const MARKS = { completed: ["completed", "✓"], failed: ["failed", "✗"], started: ["waiting", "?"] } as const;

/** Steps as a tree: those that share a `name/` are drawn below it. */
function printSteps({ steps, status }: RunDetail): void {
  const shared = (folder: string) =>
    steps.some(({ key }) => key === folder) || steps.filter(({ key }) => key.startsWith(`${folder}/`)).length > 1;
  const drawn = new Set<string>();
  const rows = steps.flatMap((step) => {
    const path = step.key.split("/");
    const folders = path.map((_, place) => path.slice(0, place).join("/")).filter((folder) => folder && shared(folder));
    const missing = folders.filter((folder) => !drawn.has(folder));
    for (const key of [...missing, step.key]) drawn.add(key);
    const names = missing.map((folder) => nameOf(folder, folders.slice(0, folders.indexOf(folder)), " "));
    return [...names.map((name) => [name, "", "", "", "", ""]), stepRow(step, stepState(step, { status }), folders)];
  });
  table(["STEP", "KIND", "TOOK", "TOKENS", "COST", ""], rows);
}

/** What is left of a key below the folders it is drawn in, as deep as they are. */
const nameOf = (key: string, folders: readonly string[], mark: string): string =>
  `${"  ".repeat(folders.length)}${mark} ${line(key.slice(folders.length > 0 ? folders.at(-1)!.length + 1 : 0))}`;

function stepRow(step: Step, state: string, folders: readonly string[]): string[] {
  const detail = (step.detail ?? {}) as Readonly<Record<string, string | number | boolean>>;
  const note = `${detail.model ?? detail.tool ?? ""}${detail.demo ? " (demo, no model)" : ""}`;
  const [word, mark] = MARKS[step.status];
  return [
    nameOf(step.key, folders, status(word, mark)),
    dim(step.kind),
    step.finishedAt ? took(step.startedAt, step.finishedAt) : "",
    detail.inputTokens === undefined ? "" : `${detail.inputTokens} → ${detail.outputTokens}`,
    usd(step.usd),
    step.error ? paint("red", line(step.error.message)) : line(step.status === "started" ? state : note),
  ];
}

/** Tells of each step as it ends, until the run is finished. Throws `run.failed`, exit 5. */
export async function watchRun(id: string, options: ReadOptions) {
  const run = await follow(await pathOf("/api/runs", id));
  if (options.json) printJson(run);
  throwUnlessCompleted(run);
}

async function follow(path: string): Promise<RunDetail> {
  void sayWhenStopped();
  const told = new Set<string>();
  const tell = (words: string) => {
    if (!told.has(words)) say(words);
    told.add(words);
  };
  for (let pause = 100; ; pause = Math.min(1000, pause * 1.3)) {
    const run = await call<RunDetail>("GET", path);
    for (const step of run.steps.filter(({ finishedAt }) => finishedAt)) {
      const failed = step.error ? ` ${line(step.error.message)}` : "";
      tell(`${failed ? "✗" : "✓"} ${line(step.key)} ${took(step.startedAt, step.finishedAt)}${failed}`);
    }
    if (run.progress) tell(progressWords(run.progress));
    if (run.waiting) tell(`… waits ${waitsFor(run, "UTC").replace(/ · .*/, " UTC")}`);
    if (FINISHED.includes(run.status)) {
      tell(`${run.id} ${run.status} ${usd(run.usd)}`.trimEnd());
      return run;
    }
    await sleep(pause);
  }
}

/** Waits until all are finished, telling of their steps on stderr. Throws `run.failed`, exit 5. */
export async function waitFor(runIds: readonly string[]): Promise<void> {
  const runs = await Promise.all(runIds.map((id) => follow(`/api/runs/${id}`)));
  runs.forEach(throwUnlessCompleted);
}

function throwUnlessCompleted({ id, status: end, error }: RunDetail): void {
  if (end === "completed") return;
  const message = `The run ${id} ${end === "failed" ? "failed" : "was canceled"}${error ? `: ${error.message}` : "."}`;
  throw new CliError(EXIT.run, "run.failed", message, error?.next ?? `daimon runs show ${id}`);
}

export const cancelRun = async (id: string, options: ReadOptions) =>
  change<{ runId: string }>(["DELETE", await pathOf("/api/runs", id)], options, ({ runId }) =>
    say(`${runId} is canceled; a step that runs is told to stop.`),
  );

/** Of a trigger or a source, and what it is called there. */
export async function setPaused(kind: "trigger" | "source", name: string, paused: boolean, options: ReadOptions) {
  const path = `/api/${kind}s/${encodeURIComponent(name)}`;
  const before = paused ? null : await call<TriggerPage>("GET", "/api/triggers");
  const there = [...(before?.items ?? []), ...(before?.sources ?? [])].find((one) => one.name === name);
  await change<Pausable>(["PATCH", path, { paused }], options, () =>
    say(
      paused
        ? `The ${kind} ${line(name)} is paused: what comes is kept, and its runs wait. Next: daimon ${kind === "source" ? "events" : "runs"} resume ${line(name)}`
        : `The ${kind} ${line(name)} goes on. Runs that had waited: ${there?.waiting.paused ?? 0}.`,
    ),
  );
}

export const pauseTrigger = (name: string, options: ReadOptions) => setPaused("trigger", name, true, options);
export const resumeTrigger = (name: string, options: ReadOptions) => setPaused("trigger", name, false, options);

interface RetryOptions extends ManyOptions {
  readonly text?: string;
}

/** Retries one run, or all of a filter. */
export async function retryRun(id: string | undefined, given: RetryOptions) {
  const { json: _, wait, preview, yes, text, ...filter } = given;
  const many = Object.keys(filter).length > 0 || text !== undefined || preview || yes;
  if (id && many) throw usage("An id is one run, a filter many.", "Give one of the two.");
  if (!id) return await putRight("retry", { ...filter, q: text }, given);
  const request = ["POST", `${await pathOf("/api/runs", id)}/retries`] as const;
  const { runId } = await change<{ runId: string }>(request, given, (answer) =>
    say(`${answer.runId} is queued again, its completed steps kept. Next: daimon runs watch ${answer.runId}`),
  );
  if (wait) await waitFor([runId]);
}
