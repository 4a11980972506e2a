import { attempt, DaimonError, toFailure } from "../base/errors.ts";
import type { Failure, Step } from "../define/run.ts";
import type { StepNotes, StepRequest } from "../define/steps.ts";
import { join } from "../policy/labels.ts";
import { isAway } from "../store/database.ts";
import { fromJson, toJson } from "../store/encode.ts";
import { fromFailure, type Ledger, stepUnderway } from "./ledger.ts";
import { DEFAULT_RETRY, decideRetry } from "./rules.ts";

/** The largest value of a step, in bytes of JSON. */
const MOST_VALUE_BYTES = 1 << 20;

/**
 * A checkpoint: the kept value when the step is finished, else the code's, kept before it is returned. With
 * `tries` a failure is tried again that often by letting the run wait, without failing it.
 */
export async function recordStep<Value>(
  ledger: Ledger,
  request: StepRequest<Value>,
  place: { prefix: string; tries?: number | undefined },
): Promise<Value> {
  const { key, kept } = ledger.take(place.prefix, request.name, request.kind);
  if (kept?.status === "completed") return kept.value as Value;
  const exhausted = place.tries === undefined || triesOf(kept) >= place.tries;
  if (kept?.status === "failed" && kept.attempt === ledger.attempt && exhausted) throw fromFailure(kept.error);
  const outcome = await ledger.during(() => execute(ledger, request, { key, kept, tries: place.tries }));
  return "pause" in outcome ? await pauseForTry(ledger, outcome.pause) : outcome.value;
}

type Pause = { readonly error: Failure; readonly count: number; readonly tries: number };

async function execute<Value>(
  ledger: Ledger,
  request: StepRequest<Value>,
  step: { key: string; kept: Step | undefined; tries: number | undefined },
): Promise<{ value: Value } | { pause: Pause }> {
  const { clock, halt } = ledger.options;
  const notes = takeNotes(ledger, step.key, request.detail);
  const row = { key: step.key, kind: request.kind, startedAt: clock.now(), value: null, error: null } as const;
  try {
    if (request.effect && step.kept?.status !== "started")
      await ledger.keep({ ...row, status: "started", detail: request.detail, usd: 0 });
    const lost = step.kept?.status === "started" && request.onUnknown;
    const code = lost ? request.onUnknown! : request.code;
    const value = toPlain(`The value of step "${step.key}"`, await stepUnderway.run(ledger, code, notes.face));
    await ledger.keep({ ...row, status: "completed", value, detail: notes.detail, usd: notes.usd });
    return { value: value as Value };
  } catch (thrown) {
    if (halt.by || isAway(thrown)) throw thrown;
    const error = toFailure(thrown);
    const count = triesOf(step.kept) + 1;
    const detail = step.tries === undefined ? notes.detail : { tries: count, of: step.tries };
    await ledger.keep({ ...row, status: "failed", error, detail, usd: notes.usd });
    if (step.tries === undefined || count >= step.tries) throw thrown;
    return { pause: { error, count, tries: step.tries } };
  }
}

async function pauseForTry(ledger: Ledger, { error, count, tries }: Pause): Promise<never> {
  const { clock, chance } = ledger.options;
  const policy = { attempts: tries, delays: DEFAULT_RETRY.delays };
  const decision = decideRetry(policy, { attempts: count - 1, error, now: clock.now(), chance: chance() });
  if (!decision.again) throw fromFailure(error);
  return await ledger.suspend({ waiting: { kind: "retry", attempt: count, error }, wakeAt: decision.at, wait: null });
}

function takeNotes(ledger: Ledger, key: string, detail: unknown) {
  const notes = { detail, usd: 0, face: {} as StepNotes };
  notes.face = {
    key,
    attempt: ledger.options.run.claim,
    detail: (told) => {
      notes.detail = told;
    },
    usd: (more) => {
      notes.usd += more;
      ledger.usd += more;
    },
    label: (more) => {
      ledger.label = join(ledger.label, more);
    },
  };
  return notes;
}

/** The kept value is JSON, so the first time returns what every later time will. Throws `step.invalid`. */
export function toPlain(what: string, value: unknown): unknown {
  if (value === undefined || value === null || typeof value === "boolean") return value ?? null;
  const invalid = (why: string, next: string) => new DaimonError("step.invalid", `${what} ${why}`, next);
  const toKeep = () => {
    if (typeof value === "function" || typeof value === "symbol") throw new Error(`It is a ${typeof value}`);
    return toJson(value);
  };
  const text = attempt(toKeep, (why) => invalid(`cannot be kept: ${why}.`, "Return JSON."));
  const bytes = Buffer.byteLength(text);
  if (bytes <= MOST_VALUE_BYTES) return fromJson(text);
  const next = "Keep the data in the hub or a file and return where it is.";
  throw invalid(`is ${bytes} bytes of JSON; at most ${MOST_VALUE_BYTES} are kept.`, next);
}

function triesOf(kept: Step | undefined): number {
  return (kept?.detail as { tries?: number } | null)?.tries ?? 0;
}
