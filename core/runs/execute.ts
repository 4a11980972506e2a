import { DaimonError, toFailure } from "../base/errors.ts";
import { framesOf } from "../base/fingerprint.ts";
import type { Limits } from "../define/limits.ts";
import type { Step } from "../define/run.ts";
import { isAway } from "../store/database.ts";
import type { ClaimedRun, Release } from "../store/runs.ts";
import { type ContextServices, createContext } from "./context.ts";
import type { Halt, Interruption } from "./halt.ts";
import { type Journal, type JournalRoot, openJournal } from "./journal.ts";
import type { LedgerOptions, Suspension } from "./ledger.ts";
import { toPlain } from "./record.ts";
import type { RegisteredHandler } from "./registered.ts";
import { decideRetry, effectiveLimits } from "./rules.ts";

/** A database that was away is no fault of the run's: it goes on after this, and no try is counted. */
const AWAY_MILLISECONDS = 500;

/** What a release says of an end that has nothing to say. */
export const NOTHING = { result: null, error: null, waiting: null, wakeAt: null, waits: [] } as const;

export interface ExecuteOptions
  extends Pick<LedgerOptions, "presence" | "database" | "keepStep" | "live" | "clock" | "chance"> {
  /** Asked for at each execution. */
  readonly services: () => ContextServices;
  readonly allowed: Required<Limits>;
}

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
  halt: Halt,
  options: ExecuteOptions,
): Promise<Release | null> {
  const began = performance.now();
  const { promise: ending, resolve: end } = Promise.withResolvers<Ending>();
  let root: JournalRoot | undefined;
  let over = false;
  // Opened for the handler's first step: one that takes none is done sooner without it.
  const journal = () => {
    if (root) return root.journal;
    const changed = run.version !== null && run.version !== handler?.version;
    root = openJournal({ ...options, run, kept, changed, began, halt });
    if (over) root.close();
    void root.suspended.then((suspensions) => end({ end: "suspended", suspensions }));
    return root.journal;
  };
  if (kept.length > 0) journal();
  const { minutes } = effectiveLimits(run.limits, options.allowed);
  const left = Math.max(0, minutes * 60_000 - run.workedMilliseconds);
  const timer = setTimeout(() => halt.now("limit.minutes"), left);
  halt.onHalt((by) => end({ end: "interrupted", by }));
  if (!halt.by) void carry(run, handler, { journal, halt, services: options.services }).then(end);
  const ended = await ending;
  over = true;
  clearTimeout(timer);
  root?.close();
  const { label, usdSpent: usd, workedMilliseconds } = root?.journal ?? untouched(run, began);
  return toRelease(run, handler, { label, usd, workedMilliseconds }, ended, options);
}

/** What there is to say of a run that took no step. */
function untouched(run: ClaimedRun, began: number): Pick<Journal, "label" | "usdSpent" | "workedMilliseconds"> {
  return { label: run.label, usdSpent: 0, workedMilliseconds: run.workedMilliseconds + performance.now() - began };
}

async function carry(
  run: ClaimedRun,
  handler: RegisteredHandler | undefined,
  { journal, halt, services }: { journal: () => Journal; halt: Halt; services: () => ContextServices },
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
    const context = createContext({ run, handler, journal, halt, services: services() });
    return { end: "completed", result: toPlain("The result of the run", await handler.run(context, journal)) };
  } catch (error) {
    return { end: "failed", error: isReadable(error) ? error : new Error("What was thrown cannot be read.") };
  }
}

/** False for what throws again when it is looked at, as a getter or a proxy may. */
function isReadable(thrown: unknown): boolean {
  try {
    isAway(thrown);
    toFailure(thrown);
    framesOf(thrown, "");
    return true;
  } catch {
    return false;
  }
}

function toRelease(
  run: ClaimedRun,
  handler: RegisteredHandler | undefined,
  spent: Pick<Release, "label" | "usd" | "workedMilliseconds">,
  ending: Ending,
  options: ExecuteOptions,
): Release | null {
  const base = {
    id: run.id,
    claim: run.claim,
    version: handler?.version ?? null,
    attempts: run.attempts,
    ...NOTHING,
    ...spent,
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
