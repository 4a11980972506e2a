import type { DaimonEvent, EventMatch } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { StepJournal, StepRequest } from "../define/steps.ts";
import { join } from "../policy/labels.ts";
import { type LedgerOptions, openLedger, type Suspension } from "./ledger.ts";
import { recordStep } from "./record.ts";
import { nextStepKey } from "./rules.ts";
import { approveStep, lastEventStep, sleepStep, waitStep } from "./waiting.ts";

/** One execution's journal, as handlers and agents write in it. */
export interface Journal extends StepJournal {
  /** A checkpoint whose failures are tried again by themselves, without failing the run. */
  recordWithTries<Value>(request: StepRequest<Value>, tries: number | undefined): Promise<Value>;
  sleep(name: string, duration: string): Promise<void>;
  waitForEvent(name: string, match: EventMatch, timeout: string): Promise<DaimonEvent | null>;
  lastEvent(name: string, match: EventMatch): Promise<DaimonEvent | null>;
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

/** Opens the journal of one execution of a run. */
export function openJournal(options: LedgerOptions): JournalRoot {
  const { run, live } = options;
  const ledger = openLedger(options);
  const below = (prefix: string): Journal => ({
    runId: run.id,
    get signal() {
      return options.halt.signal;
    },
    lastTry: ledger.attempt >= run.maxAttempts,
    get label() {
      return ledger.label;
    },
    get usdSpent() {
      return ledger.usd;
    },
    get workedMilliseconds() {
      return run.workedMilliseconds + performance.now() - options.began;
    },
    record: (request) => recordStep(ledger, request, { prefix }),
    recordWithTries: (request, tries) => recordStep(ledger, request, { prefix, tries }),
    sleep: (name, duration) => sleepStep(ledger, prefix, name, duration),
    waitForEvent: (name, match, timeout) => waitStep(ledger, { prefix, name }, match, timeout),
    lastEvent: (name, match) => lastEventStep(ledger, prefix, name, match),
    approve: (name, request) => approveStep(ledger, prefix, name, request),
    uniqueName: (name) => nextStepKey(ledger.counts, prefix + name).slice(prefix.length),
    scope: (name) => below(`${prefix}${name}/`),
    readLabel: (label) => {
      ledger.label = join(ledger.label, label);
    },
    publish: ({ state, ...change }) => live.publish({ id: run.id, ...change, ...(state ? { status: state } : {}) }),
  });
  return { journal: below(""), suspended: ledger.suspended, close: ledger.close };
}
