import type { Clock } from "../base/clock.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import { framesOf } from "../base/fingerprint.ts";
import type { Live } from "../base/live.ts";
import type { Limits } from "../define/limits.ts";
import type { Step } from "../define/run.ts";
import { type Database, isAway } from "../store/database.ts";
import type { ClaimedRun, Release } from "../store/runs.ts";
import type { StepSeed } from "../store/steps.ts";
import { type ContextServices, createContext } from "./context.ts";
import { type JournalRoot, openJournal } from "./journal.ts";
import type { Suspension } from "./ledger.ts";
import { toPlain } from "./record.ts";
import type { RegisteredHandler } from "./registered.ts";
import { decideRetry, effectiveLimits } from "./rules.ts";

/** A database that was away is no fault of the run's: it goes on after this, and no try is counted. */
const AWAY_MILLISECONDS = 500;

export interface ExecuteOptions {
  readonly database: Database;
  /** Asked for at each execution. */
  readonly services: () => ContextServices;
  readonly keepStep: (step: StepSeed) => Promise<boolean>;
  readonly live: Live;
  readonly clock: Clock;
  readonly allowed: Required<Limits>;
  readonly chance: () => number;
}

/** Why an execution was broken off from outside: the reason of its AbortSignal. */
export type Interruption = "canceled" | "lost" | "draining" | "limit.minutes";

type Ending =
  | { readonly end: "completed"; readonly result: unknown }
  | { readonly end: "failed"; readonly error: unknown }
  | { readonly end: "suspended"; readonly suspensions: readonly Suspension[] }
  | { readonly end: "interrupted"; readonly by: Interruption };

/**
 * Executes a claimed run until it ends, must wait, or is interrupted, and returns what is to be written of it;
 * null when it is no longer ours to write.
 */
export async function executeRun(
  run: ClaimedRun,
  handler: RegisteredHandler | undefined,
  kept: readonly Step[],
  abort: AbortController,
  options: ExecuteOptions,
): Promise<Release | null> {
  const root = openJournal({
    run,
    kept,
    changed: run.version !== null && run.version !== handler?.version,
    database: options.database,
    keep: options.keepStep,
    clock: options.clock,
    live: options.live,
    signal: abort.signal,
    onLost: () => abort.abort("lost" satisfies Interruption),
    chance: options.chance,
  });
  const minutes = effectiveLimits(run.limits, options.allowed).minutes;
  const timer = setTimeout(
    () => abort.abort("limit.minutes" satisfies Interruption),
    Math.max(0, minutes * 60_000 - run.workedMilliseconds),
  );
  const ending = abort.signal.aborted
    ? await interrupted(abort.signal)
    : await Promise.race([
        carry(run, handler, root, abort.signal, options.services),
        root.suspended.then((suspensions): Ending => ({ end: "suspended", suspensions })),
        interrupted(abort.signal),
      ]);
  clearTimeout(timer);
  root.close();
  return toRelease(run, handler, root, ending, options);
}

async function carry(
  run: ClaimedRun,
  handler: RegisteredHandler | undefined,
  root: JournalRoot,
  signal: AbortSignal,
  services: () => ContextServices,
): Promise<Ending> {
  try {
    if (!handler) {
      throw new DaimonError(
        "handler.missing",
        `No installed capability has ${run.handler}.`,
        "Add the capability again and retry the run.",
      );
    }
    if (run.event.problem) {
      throw new DaimonError(
        "event.unreadable",
        run.event.problem,
        "The raw body is kept with the event; the sender must send it right.",
      );
    }
    const context = createContext({ run, handler, journal: root.journal, services: services(), signal });
    return { end: "completed", result: toPlain("result", await handler.run(context, root.journal)) };
  } catch (error) {
    return { end: "failed", error };
  }
}

function interrupted(signal: AbortSignal): Promise<Ending> {
  return new Promise((resolve) => {
    const tell = () => resolve({ end: "interrupted", by: signal.reason as Interruption });
    if (signal.aborted) tell();
    else signal.addEventListener("abort", tell, { once: true });
  });
}

function toRelease(
  run: ClaimedRun,
  handler: RegisteredHandler | undefined,
  root: JournalRoot,
  ending: Ending,
  options: ExecuteOptions,
): Release | null {
  const base = {
    id: run.id,
    claim: run.claim,
    version: handler?.version ?? null,
    attempts: run.attempts,
    result: null,
    error: null,
    waiting: null,
    wakeAt: null,
    label: root.journal.label,
    usd: root.journal.usdSpent,
    workedMilliseconds: root.journal.workedMilliseconds,
    waits: [],
  } as const;
  switch (ending.end) {
    case "completed":
      return { ...base, status: "completed", result: ending.result ?? null };
    case "suspended":
      return { ...base, status: "waiting", ...soonest(ending.suspensions) };
    case "failed":
      return failed(base, run, ending.error, options);
    case "interrupted":
      if (ending.by === "canceled") return { ...base, status: "canceled" };
      if (ending.by === "limit.minutes") return failed(base, run, minutesError(run, options), options);
      return null;
  }
}

function soonest(suspensions: readonly Suspension[]): Pick<Release, "waiting" | "wakeAt" | "waits"> {
  const timed = suspensions.filter((suspension) => suspension.wakeAt !== null);
  const first = timed.sort((one, other) => one.wakeAt!.getTime() - other.wakeAt!.getTime())[0] ?? suspensions[0]!;
  return {
    waiting: first.waiting,
    wakeAt: first.wakeAt,
    waits: suspensions.map((suspension) => suspension.wait).filter((wait) => wait !== null),
  };
}

function failed(base: Omit<Release, "status">, run: ClaimedRun, thrown: unknown, options: ExecuteOptions): Release {
  const at = framesOf(thrown, run.handler);
  const error = { ...toFailure(thrown), ...(at.length > 0 ? { at } : {}) };
  if (isAway(thrown)) {
    const wakeAt = new Date(options.clock.now().getTime() + AWAY_MILLISECONDS * (1 + options.chance()));
    return { ...base, status: "waiting", waiting: { kind: "retry", attempt: run.attempts, error }, wakeAt };
  }
  const policy = { attempts: run.maxAttempts, delays: run.delays };
  const decision = decideRetry(policy, {
    attempts: run.attempts,
    error,
    now: options.clock.now(),
    chance: options.chance(),
  });
  if (!decision.again) return { ...base, status: "failed", attempts: decision.attempts, error };
  const waiting = { kind: "retry", attempt: decision.attempts, error } as const;
  return { ...base, status: "waiting", attempts: decision.attempts, error, waiting, wakeAt: decision.at };
}

function minutesError(run: ClaimedRun, options: ExecuteOptions): DaimonError {
  const { minutes } = effectiveLimits(run.limits, options.allowed);
  return new DaimonError(
    "limit.minutes",
    `The run worked for ${minutes} minutes, its limit.`,
    "Raise limits.minutes of its trigger, or of daimon.config.ts.",
  );
}
