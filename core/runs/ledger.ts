import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import type { Label } from "../define/label.ts";
import type { Failure, Step, Waiting } from "../define/run.ts";
import { join } from "../policy/labels.ts";
import type { Database } from "../store/database.ts";
import { toName } from "../store/encode.ts";
import type { ClaimedRun, WaitSeed } from "../store/runs.ts";
import type { StepSeed } from "../store/steps.ts";
import type { Halt } from "./halt.ts";
import type { Presence } from "./presence.ts";
import { nextStepKey } from "./rules.ts";

/** Why a run lets go of its worker, and what will wake it. */
export interface Suspension {
  readonly waiting: Waiting;
  /** Null: only a fact wakes it. */
  readonly wakeAt: Date | null;
  readonly wait: WaitSeed | null;
}

export interface LedgerOptions {
  readonly run: ClaimedRun;
  /** What is kept of earlier tries. */
  readonly kept: readonly Step[];
  /** The code that runs is not the code that kept these steps. */
  readonly changed: boolean;
  /** When the execution began, by performance.now(). */
  readonly began: number;
  readonly halt: Halt;
  readonly presence: Pick<Presence, "holds" | "beat">;
  readonly database: Database;
  /** False: the run is no longer ours. */
  readonly keepStep: (step: StepSeed) => Promise<boolean>;
  readonly clock: Clock;
  readonly live: Live;
  readonly chance: () => number;
}

/** What one execution knows of its run: what is kept, what was read and spent, what is under way. */
export interface Ledger {
  readonly options: LedgerOptions;
  /** Which try of the run this is, from 1. */
  readonly attempt: number;
  label: Label;
  usd: number;
  /** The events that each kind of wait has had: none is had twice. */
  readonly consumed: Map<string, string[]>;
  readonly counts: Map<string, number>;
  /** The next step of that name, and what is kept of it. Throws `run.changed`. */
  take(prefix: string, name: string, kind: Step["kind"]): { key: string; kept: Step | undefined };
  /** Work that the run must not let go in. After the run was let go, whoever asks waits for ever. */
  during<Value>(work: () => Promise<Value>): Promise<Value>;
  keep(step: KeptFields): Promise<void>;
  /** Lets the run go when nothing is under way any more. Never returns. Throws `step.invalid` within a step. */
  suspend(suspension: Suspension): Promise<never>;
  /** Settles when nothing of the run can go on until something wakes it. */
  readonly suspended: Promise<readonly Suspension[]>;
  close(): void;
}

export type KeptFields = Omit<StepSeed, "runId" | "claim" | "attempt" | "label" | "finishedAt">;

const NEVER = new Promise<never>(() => {});

/** Whose step's code it is that asks: it is told also to what that code sets going for other runs. */
export const stepUnderway = new AsyncLocalStorage<Ledger>();

const WAITS_WITHIN = "What waits within another step would never end: the run cannot let go while a step is under way.";

export function openLedger(options: LedgerOptions): Ledger {
  const { run, clock } = options;
  const kept = new Map(options.kept.map((row) => [row.key, row]));
  const asked = new Set<string>();
  const suspensions: Suspension[] = [];
  const { promise: suspended, resolve: letGo } = Promise.withResolvers<readonly Suspension[]>();
  let active = 0;
  let closed = false;

  // When nothing is under way but waits, the run lets go: one turn of the event loop later, because a step that
  // has just ended may be followed by the next one.
  const settle = () => {
    if (closed || active > 0 || suspensions.length === 0) return;
    setImmediate(() => {
      if (closed || active > 0) return;
      closed = true;
      letGo(suspensions);
    });
  };

  return {
    options,
    attempt: run.attempts + 1,
    label: options.kept.reduce((sum, row) => join(sum, row.label), run.label),
    usd: options.kept.reduce((sum, row) => sum + row.usd, 0),
    consumed: new Map(),
    counts: new Map(),
    suspended,
    take(prefix, name, kind) {
      const key = nextStepKey(this.counts, toName(prefix + name));
      const row = kept.get(key);
      asked.add(key);
      const other = row && row.kind !== kind ? row : !row && options.changed ? findUnasked(kept, asked) : undefined;
      if (other) throw changedError(run.handler, key, other);
      return { key, kept: row };
    },
    async during(work) {
      if (closed) return await NEVER;
      active++;
      try {
        // Who was frozen for longer than its lease asks first: a successor may have done this already.
        if (!options.presence.holds()) await options.presence.beat();
        if (options.halt.by) return await NEVER;
        const value = await work();
        return closed ? await NEVER : value;
      } catch (error) {
        if (closed) return await NEVER;
        throw error;
      } finally {
        active--;
        settle();
      }
    },
    async keep(step) {
      const finishedAt = step.status === "started" ? null : clock.now();
      const { attempt, label } = this;
      const ours = await options.keepStep({ ...step, runId: run.id, claim: run.claim, attempt, label, finishedAt });
      if (!ours) {
        closed = true;
        options.halt.now("lost");
        await NEVER;
      }
      options.live.publish({ kind: "step", id: run.id, name: step.key, status: step.status });
    },
    async suspend(suspension) {
      if (stepUnderway.getStore() === this) throw new DaimonError("step.invalid", WAITS_WITHIN, "Wait between steps.");
      suspensions.push(suspension);
      settle();
      return await NEVER;
    },
    close() {
      closed = true;
    },
  };
}

/** An error as a step's kept failure throws it again. */
export function fromFailure(failure: Failure | null): DaimonError {
  const { code = "step.failed", message = "The step failed.", next, retryAfter } = failure ?? {};
  return new DaimonError(code, message, next, { retryAfter });
}

function findUnasked(kept: ReadonlyMap<string, Step>, asked: ReadonlySet<string>): Step | undefined {
  return [...kept.values()].find((row) => row.status === "completed" && !asked.has(row.key));
}

/** The kept step is not the one that the code asks for. */
export function changedError(handler: string, key: string, row: Pick<Step, "key" | "kind">): DaimonError {
  return new DaimonError(
    "run.changed",
    `The code of ${handler} changed while this run waited: it asks for step "${key}", but the journal goes on with "${row.key}" (${row.kind}).`,
    "Replay the event to run the new code from the start, or bring the old code back and retry.",
  );
}
