import type { Clock } from "../base/clock.ts";
import { parseDuration } from "../base/durations.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import type { ApprovalRequest } from "../define/context.ts";
import type { DaimonEvent, EventMatch } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Failure, Waiting } from "../define/run.ts";
import type { StepJournal, StepNotes, StepRequest } from "../define/steps.ts";
import { actionDigest } from "../policy/approvals.ts";
import { join } from "../policy/labels.ts";
import { askApproval, expireApproval } from "../store/approvals.ts";
import type { Database } from "../store/database.ts";
import { eventsSince, findEvent } from "../store/events.ts";
import type { ClaimedRun, WaitSeed } from "../store/runs.ts";
import type { StepRow, StepSeed } from "../store/steps.ts";
import { containment, likePatterns, matchesWhere } from "./match.ts";
import { DEFAULT_RETRY, decideRetry, nextStepKey } from "./rules.ts";

/** Why a run lets go of its worker, and what will wake it. */
export interface Suspension {
  readonly waiting: Waiting;
  /** Null: only a fact wakes it. */
  readonly wakeAt: Date | null;
  readonly wait: WaitSeed | null;
}

/** One execution's journal, and what the executor needs to know of it. */
export interface Journal extends StepJournal {
  /** A checkpoint whose failures are tried again by themselves, without failing the run. */
  recordWithTries<Value>(request: StepRequest<Value>, attempts: number | undefined): Promise<Value>;
  sleep(name: string, duration: string): Promise<void>;
  waitForEvent(name: string, match: EventMatch, timeout: string): Promise<DaimonEvent | null>;
  /** `name`, or `name#2`, … when it was taken before: the scope of a step that is made of steps. */
  uniqueName(name: string): string;
  readLabel(label: Label): void;
}

export interface JournalRoot {
  readonly journal: Journal;
  /** Settles when nothing of the run can go on until something wakes it. */
  readonly suspended: Promise<readonly Suspension[]>;
  /** No step is executed or kept any more; whoever asks for one waits for ever. */
  close(): void;
}

export interface JournalOptions {
  readonly run: ClaimedRun;
  /** What is kept of earlier tries. */
  readonly kept: readonly StepRow[];
  /** The code that runs is not the code that kept these steps. */
  readonly changed: boolean;
  readonly database: Database;
  readonly keep: (step: StepSeed) => Promise<boolean>;
  readonly clock: Clock;
  readonly live: Live;
  readonly signal: AbortSignal;
  /** A step could not be kept because the run is no longer ours. */
  readonly onLost: () => void;
  readonly chance: () => number;
}

/** The largest value of a step, in bytes of JSON. */
const MOST_VALUE_BYTES = 1 << 20;

const NEVER = new Promise<never>(() => {});

/** Opens the journal of one execution of a run. */
export function openJournal(options: JournalOptions): JournalRoot {
  const { run, clock } = options;
  const attempt = run.attempts + 1;
  const kept = new Map(options.kept.map((row) => [row.key, row]));
  const asked = new Set<string>();
  const counts = new Map<string, number>();
  const suspensions: Suspension[] = [];
  const consumed = new Map<string, string>();
  const began = performance.now();
  let label = options.kept.reduce((sum, row) => join(sum, row.label), run.label);
  let usd = options.kept.reduce((sum, row) => sum + row.usd, 0);
  let active = 0;
  let closed = false;
  let release: (suspensions: readonly Suspension[]) => void = () => {};
  const suspended = new Promise<readonly Suspension[]>((resolve) => {
    release = resolve;
  });

  // When nothing is under way but waits, the run lets go. One turn of the event loop later, because a step that
  // has just ended may be followed by the next one.
  const settle = () => {
    if (closed || active > 0 || suspensions.length === 0) return;
    setImmediate(() => {
      if (closed || active > 0) return;
      closed = true;
      release(suspensions);
    });
  };
  const suspend = (suspension: Suspension): Promise<never> => {
    suspensions.push(suspension);
    settle();
    return NEVER;
  };
  const during = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    if (closed) return await NEVER;
    active++;
    try {
      const value = await work();
      return closed ? await NEVER : value;
    } catch (error) {
      if (closed) return await NEVER;
      throw error;
    } finally {
      active--;
      settle();
    }
  };

  const take = (prefix: string, name: string) => {
    const key = nextStepKey(counts, prefix + name);
    const row = kept.get(key);
    asked.add(key);
    if (row) return { key, kept: row };
    const orphan = options.changed ? findUnasked(kept, asked) : undefined;
    if (orphan) throw changedError(run.handler, key, orphan);
    return { key, kept: undefined };
  };

  const keepStep = async (
    step: Omit<StepSeed, "runId" | "claim" | "attempt" | "label" | "finishedAt">,
  ): Promise<void> => {
    const finishedAt = step.status === "started" ? null : clock.now();
    const ours = await options.keep({ ...step, runId: run.id, claim: run.claim, attempt, label, finishedAt });
    if (!ours) {
      closed = true;
      options.onLost();
      await NEVER;
    }
    options.live.publish({ kind: "step", id: run.id, name: step.key, status: step.status });
  };

  const execute = async <Value>(request: StepRequest<Value>, tries?: number, prefix = ""): Promise<Value> => {
    const { key, kept: row } = take(prefix, request.name);
    if (row && row.kind !== request.kind) throw changedError(run.handler, key, row);
    if (row?.status === "completed") return row.value as Value;
    const exhausted = tries === undefined || triesOf(row) >= tries;
    if (row?.status === "failed" && row.attempt === attempt && exhausted) throw fromFailure(row.error);
    return await during(async () => {
      const startedAt = clock.now();
      const notes = createNotes(key, request.detail);
      const unknown = row?.status === "started" && request.onUnknown !== undefined;
      const step = { key, kind: request.kind, startedAt } as const;
      try {
        if (request.effect && !row)
          await keepStep({
            ...step,
            status: "started",
            value: null,
            error: null,
            detail: request.detail,
            usd: 0,
          });
        const value = await (unknown ? request.onUnknown!(notes.face) : request.code(notes.face));
        const plain = toPlain(key, value);
        await keepStep({
          ...step,
          status: "completed",
          value: plain,
          error: null,
          detail: notes.detail(),
          usd: notes.usd(),
        });
        return plain as Value;
      } catch (error) {
        if (options.signal.aborted) throw error;
        const failure = toFailure(error);
        const count = triesOf(row) + 1;
        const detail = tries === undefined ? notes.detail() : { tries: count, of: tries };
        await keepStep({ ...step, status: "failed", value: null, error: failure, detail, usd: notes.usd() });
        if (tries === undefined || count >= tries) throw error;
        return await pauseForTry(failure, count, tries);
      }
    });
  };

  const pauseForTry = async (error: Failure, count: number, tries: number): Promise<never> => {
    const policy = { attempts: tries, delays: DEFAULT_RETRY.delays };
    const decision = decideRetry(policy, {
      attempts: count - 1,
      error,
      now: clock.now(),
      chance: options.chance(),
    });
    if (!decision.again) throw fromFailure(error);
    void suspend({ waiting: { kind: "retry", attempt: count, error }, wakeAt: decision.at, wait: null });
    return await releaseActive();
  };
  // A step that waits for its next try is not under way any more.
  const releaseActive = (): Promise<never> => {
    active--;
    settle();
    return NEVER;
  };

  const createNotes = (key: string, firstDetail: unknown) => {
    let detail = firstDetail;
    let cost = 0;
    const face: StepNotes = {
      key,
      attempt: run.claim,
      detail: (told) => {
        detail = told;
      },
      usd: (more) => {
        cost += more;
        usd += more;
      },
      label: (more) => {
        label = join(label, more);
      },
    };
    return { face, detail: () => detail, usd: () => cost };
  };

  const sleep = async (prefix: string, name: string, duration: string): Promise<void> => {
    const { key, kept: row } = take(prefix, name);
    if (row && row.kind !== "sleep") throw changedError(run.handler, key, row);
    if (row?.status === "completed") return;
    const startedAt = row?.startedAt ?? clock.now();
    const until = row
      ? new Date((row.value as { until: string }).until)
      : new Date(startedAt.getTime() + parseDuration(duration));
    const step = {
      key,
      kind: "sleep",
      startedAt,
      value: { until },
      error: null,
      detail: null,
      usd: 0,
    } as const;
    if (clock.now() >= until) return await during(() => keepStep({ ...step, status: "completed" }));
    if (!row) await during(() => keepStep({ ...step, status: "started" }));
    return await suspend({ waiting: { kind: "sleep", step: key }, wakeAt: until, wait: null });
  };

  const waitForEvent = async (
    prefix: string,
    name: string,
    match: EventMatch,
    timeout: string,
  ): Promise<DaimonEvent | null> => {
    const { key, kept: row } = take(prefix, name);
    if (row && row.kind !== "wait") throw changedError(run.handler, key, row);
    const signature = JSON.stringify(match);
    if (row?.status === "completed") {
      const { eventId } = row.value as { eventId: string | null };
      if (eventId) consumed.set(signature, eventId);
      return eventId ? await during(() => findEvent(options.database, eventId)) : null;
    }
    const startedAt = row?.startedAt ?? clock.now();
    const until = row
      ? new Date((row.value as { until: string }).until)
      : new Date(startedAt.getTime() + parseDuration(timeout));
    const wait: WaitSeed = {
      step: key,
      source: match.source,
      types: likePatterns(match.type),
      match: containment(match.where),
      since: consumed.get(signature) ?? firstAfter(run),
    };
    const step = { key, kind: "wait", startedAt, error: null, detail: match, usd: 0 } as const;
    const event = await during(async () => {
      const candidates = await eventsSince(options.database, { ...wait, most: 200 });
      const found = candidates.find((candidate) => matchesWhere(match.where, candidate.data)) ?? null;
      if (found) label = join(label, found.label);
      if (found || clock.now() >= until)
        await keepStep({ ...step, status: "completed", value: { eventId: found?.id ?? null, until } });
      else if (!row) await keepStep({ ...step, status: "started", value: { until } });
      return found;
    });
    if (event) consumed.set(signature, event.id);
    if (event || clock.now() >= until) return event;
    const waiting = {
      kind: "event",
      step: key,
      source: match.source,
      type: [match.type ?? "*"].flat().join(", "),
    } as const;
    return await suspend({ waiting, wakeAt: until, wait });
  };

  const approve = async (prefix: string, name: string, request: ApprovalRequest): Promise<boolean> => {
    const { key, kept: row } = take(prefix, name);
    if (row && row.kind !== "approval") throw changedError(run.handler, key, row);
    if (row?.status === "completed") return row.value as boolean;
    const startedAt = row?.startedAt ?? clock.now();
    const step = { key, kind: "approval", startedAt, error: null, detail: request.action, usd: 0 } as const;
    const approval = await during(async () => {
      const expiresAt = new Date(startedAt.getTime() + parseDuration(request.timeout ?? "24h"));
      const digest = actionDigest({ ...request.action, label });
      const asked = await askApproval(options.database, {
        runId: run.id,
        step: key,
        title: request.title,
        action: request.action,
        digest,
        expiresAt,
      });
      const over = asked.status === "waiting" && clock.now() >= asked.expiresAt;
      if (over) await expireApproval(options.database, asked.id);
      if (asked.status !== "waiting" || over)
        await keepStep({ ...step, status: "completed", value: asked.status === "approved" });
      else if (!row) await keepStep({ ...step, status: "started", value: { approvalId: asked.id } });
      return { ...asked, over };
    });
    if (approval.status !== "waiting" || approval.over) return approval.status === "approved";
    options.live.publish({
      kind: "approval",
      id: approval.id,
      status: "waiting",
      name: run.id,
      text: approval.title,
    });
    return await suspend({
      waiting: { kind: "approval", step: key, approvalId: approval.id },
      wakeAt: approval.expiresAt,
      wait: null,
    });
  };

  const scoped = (prefix: string): Journal => ({
    runId: run.id,
    signal: options.signal,
    get label() {
      return label;
    },
    get usdSpent() {
      return usd;
    },
    get workedMilliseconds() {
      return run.workedMilliseconds + performance.now() - began;
    },
    record: (request) => execute(request, undefined, prefix),
    recordWithTries: (request, tries) => execute(request, tries, prefix),
    sleep: (name, duration) => sleep(prefix, name, duration),
    waitForEvent: (name, match, timeout) => waitForEvent(prefix, name, match, timeout),
    approve: (name, request) => approve(prefix, name, request),
    uniqueName: (name) => nextStepKey(counts, prefix + name).slice(prefix.length),
    scope: (name) => scoped(`${prefix}${name}/`),
    readLabel: (more) => {
      label = join(label, more);
    },
    publish: ({ kind, text, name, state, id }) =>
      options.live.publish({
        kind,
        id: id ?? run.id,
        ...(text ? { text } : {}),
        ...(name ? { name } : {}),
        ...(state ? { status: state } : {}),
      }),
  });

  return {
    journal: scoped(""),
    suspended,
    close: () => {
      closed = true;
    },
  };
}

/** The kept value is JSON, so the first time returns what every later time will. Throws `step.invalid`. */
export function toPlain(key: string, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean" || typeof value === "number") return value;
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new DaimonError(
      "step.invalid",
      `The value of step "${key}" is a ${typeof value}, which cannot be kept.`,
      "Return JSON.",
    );
  if (text.length > MOST_VALUE_BYTES) {
    throw new DaimonError(
      "step.invalid",
      `The value of step "${key}" is ${text.length} bytes of JSON; at most ${MOST_VALUE_BYTES} are kept.`,
      "Keep the data in the hub or a file and return where it is.",
    );
  }
  return typeof value === "string" ? value : JSON.parse(text);
}

function triesOf(row: StepRow | undefined): number {
  return (row?.detail as { tries?: number } | null)?.tries ?? 0;
}

/** An error as a step's kept failure throws it again. */
function fromFailure(failure: Failure | null): DaimonError {
  return new DaimonError(failure?.code ?? "step.failed", failure?.message ?? "The step failed.", failure?.next);
}

function findUnasked(kept: ReadonlyMap<string, StepRow>, asked: ReadonlySet<string>): StepRow | undefined {
  for (const row of kept.values()) {
    if (row.status === "completed" && !asked.has(row.key)) return row;
  }
  return undefined;
}

function changedError(handler: string, key: string, row: StepRow): DaimonError {
  return new DaimonError(
    "run.changed",
    `The code of ${handler} changed while this run waited: it asks for step "${key}", but the journal goes on with "${row.key}" (${row.kind}).`,
    "Replay the event to run the new code from the start, or bring the old code back and retry.",
  );
}

/** Events after the run was made; its own event is not one of them. */
function firstAfter(run: ClaimedRun): string {
  const made = `evt_${run.id.slice(4, 14)}`;
  return made > run.event.id ? made : run.event.id;
}
