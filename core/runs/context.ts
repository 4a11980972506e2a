import { DaimonError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Answer, Ask, Context, HubAccess, OutgoingMessage, StepOptions, Steps } from "../define/context.ts";
import type { DaimonEvent, NewEvent } from "../define/event.ts";
import { type Label, STRANGER } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { StepJournal, StepRequest } from "../define/steps.ts";
import type { Author, Hub } from "../hub/hub.ts";
import type { ClaimedRun } from "../store/runs.ts";
import type { Halt } from "./halt.ts";
import type { Journal } from "./journal.ts";
import type { RegisteredHandler } from "./registered.ts";
import { effectiveLimits } from "./rules.ts";

/** What a handler's context needs from the rooms around; main.ts hands it in. */
export interface ContextServices {
  readonly hub: Hub;
  readonly log: Log;
  /** The light loop of core/agents. */
  readonly ask: (ask: Ask, journal: StepJournal, event: DaimonEvent) => Promise<Answer>;
  readonly emit: (event: NewEvent) => Promise<string>;
  /** Keeps a message in the outbox, once for each step of a run. */
  readonly send: (
    message: OutgoingMessage,
    from: { run: ClaimedRun; step: string; label: Label },
  ) => Promise<{ messageId: string }>;
  /** What the owner allows each run. */
  readonly limits: Required<Limits>;
  /** As `daimon.config.ts` has it. */
  readonly publicUrl?: string | undefined;
}

interface Parts {
  readonly run: ClaimedRun;
  readonly handler: RegisteredHandler;
  readonly journal: () => Journal;
  readonly services: ContextServices;
  readonly halt: Halt;
}

/** What a handler sees of its run. What costs more than a short run does is made when the handler asks for it. */
export function createContext({ run, handler, journal, services, halt }: Parts): Context<never> {
  const step = createSteps({ run, journal, services });
  return {
    event: run.event as DaimonEvent as DaimonEvent<never>,
    events: run.events as readonly DaimonEvent[] as readonly DaimonEvent<never>[],
    step,
    get hub() {
      return createHubAccess(journal(), services.hub, { runId: run.id, eventId: run.event.id });
    },
    agent: step.agent,
    wait: step.waitForEvent,
    approve: step.approve,
    send: (message) =>
      journal().record({
        name: "send",
        kind: "send",
        detail: message,
        code: (notes) => services.send(message, { run, step: notes.key, label: journal().label }),
      }),
    emit: (event) => emitStep(journal(), services, run.id, event),
    secret: handler.secret,
    address: (source) => addressOf(source, services.publicUrl),
    get log() {
      return services.log.with({ run: run.id, handler: run.handler });
    },
    get signal() {
      return halt.signal;
    },
    now: run.event.source === "schedule" ? run.event.time : run.startedAt,
  };
}

function addressOf(source: string, publicUrl: string | undefined): string {
  if (publicUrl) return new URL(`/hooks/${source}`, publicUrl).href;
  throw new DaimonError(
    "address.missing",
    "The address under which the world reaches Daimon is not known.",
    "Set publicUrl in daimon.config.ts, and restart.",
  );
}

function createSteps({ run, journal, services }: Pick<Parts, "run" | "journal" | "services">): Steps {
  return {
    run: (name, code, options = {}) =>
      journal().recordWithTries(
        toRequest(name, () => code(journal().signal), options),
        options.attempts,
      ),
    sleep: (name, duration) => journal().sleep(name, duration),
    lastEvent: (name, match) => journal().lastEvent(name, match),
    waitForEvent: (name, match, timeout) => journal().waitForEvent(name, match, timeout),
    approve: (name, request) => journal().approve(name, request),
    agent: (name, ask) => {
      const limits = effectiveLimits(ask.limits ?? {}, effectiveLimits(run.limits, services.limits));
      return askStep(journal(), name, (scope) => services.ask({ ...ask, limits }, scope, run.event));
    },
  };
}

function toRequest<Value>(
  name: string,
  code: () => Promise<Value> | Value,
  { once, untrusted }: StepOptions,
): StepRequest<Value> {
  return {
    name,
    kind: "code",
    async code(notes) {
      if (untrusted) notes.label(STRANGER);
      return await code();
    },
    ...(once ? { effect: true, onUnknown } : {}),
  };
}

async function onUnknown({ key }: { key: string }): Promise<never> {
  throw new DaimonError(
    "step.unknown",
    `The system stopped during "${key}", so whether it was done is not known.`,
    "See whether it was. Retry the run to do it again; else leave it.",
  );
}

/** An agent's work: steps below `name/`, the last of them its answer. */
async function askStep(journal: Journal, name: string, ask: (scope: StepJournal) => Promise<Answer>): Promise<Answer> {
  const scope = journal.scope(journal.uniqueName(name));
  const answer = await ask(scope);
  return await scope.record({ name: "answer", kind: "code", code: async () => answer });
}

/** Emits once for each step: the step's key is the delivery's key. */
async function emitStep(
  journal: StepJournal,
  services: Pick<ContextServices, "emit">,
  runId: string,
  event: Pick<NewEvent, "source" | "type" | "data"> & { key?: string },
): Promise<string> {
  return await journal.record({
    name: `emit ${event.type}`,
    kind: "emit",
    detail: { source: event.source, type: event.type },
    code: (notes) =>
      services.emit({ ...event, key: event.key ?? `${runId}/${notes.key}`, label: journal.label, parentRunId: runId }),
  });
}

/** The hub for one run: what it reads joins the run's label, what it writes are steps and commits of the run. */
function createHubAccess(
  journal: StepJournal & Partial<Pick<Journal, "readLabel">>,
  hub: Hub,
  author: Author,
): HubAccess {
  const write = (verb: "create" | "append", path: string, text: string, why: string) =>
    journal.record({
      name: `hub ${verb} ${path}`,
      kind: "hub",
      detail: { path, why },
      code: async (notes) => {
        const signed = { ...author, step: `${journal.runId}/${notes.key}`, label: journal.label };
        const before = notes.attempt > 1 ? await hub.written(signed) : null;
        return before ?? (await hub[verb](path, text, why, signed));
      },
    });
  const read = async (path: string) => journal.readLabel?.(await hub.label(path));
  return {
    map: (options) => hub.map(options),
    async search(query, options) {
      const found = await hub.search(query, options);
      for (const path of new Set(found.hits.map((hit) => hit.path))) await read(path);
      return found;
    },
    async read(path, options) {
      await read(path);
      return await hub.read(path, options);
    },
    create: (path, text, why) => write("create", path, text, why),
    append: (path, text, why) => write("append", path, text, why),
  };
}
