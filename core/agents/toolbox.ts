import type { Clock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { HubAccess, Toolbox } from "../define/context.ts";
import type { DaimonEvent, NewEvent } from "../define/event.ts";
import { BLANK, type Label, OWNER } from "../define/label.ts";
import type { Tool } from "../define/tool.ts";
import type { Author, Hub } from "../hub/hub.ts";
import { isAbstract, isOutside } from "../policy/guard.ts";
import { join } from "../policy/labels.ts";

/** A tool that is installed, and whose it is. */
export interface RegisteredTool {
  readonly tool: Tool<never>;
  /** `daimon` for those of the house. */
  readonly capability: string;
  /** A secret that its capability declares. */
  readonly secret: (name: string) => string;
}

/** One call's toolbox, and the join of all that the tool read through it. */
export interface OpenToolbox {
  readonly toolbox: Toolbox;
  label(): Label;
}

/** What a tool call is made amid. */
export interface Surroundings {
  readonly event: DaimonEvent;
  readonly hub: Hub;
  readonly emit: (event: NewEvent) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
  /** The join of all that was read before the call. */
  readonly label: Label;
}

export interface ToolboxOptions extends Surroundings {
  readonly runId: string;
  /** The step's key. */
  readonly step: string;
  /** Which execution of the run this is: after the first, what a call has written may be in the hub already. */
  readonly attempt: number;
  readonly agent: string;
  /** A person has said yes to this very call. */
  readonly approved: boolean;
  readonly secret: (name: string) => string;
  readonly signal: AbortSignal;
}

/** What one tool call may use. What it writes and starts inherits what the run has read. */
export function openToolbox(options: ToolboxOptions): OpenToolbox {
  const { runId, event, step, clock, signal, secret } = options;
  const idempotencyKey = `${runId}/${step}`;
  let read: Label = BLANK;
  let emitted = 0;
  const current = () => join(options.label, read);
  return {
    label: () => read,
    toolbox: {
      runId,
      agent: options.agent,
      event,
      idempotencyKey,
      label: options.label,
      secret,
      signal,
      now: clock.now(),
      log: options.log.with({ run: runId, step }),
      hub: openHubAccess(options, current, (label) => {
        read = join(read, label);
      }),
      emit: (wanted) =>
        options.emit({
          ...wanted,
          key: wanted.key ?? `${idempotencyKey}/${++emitted}`,
          label: current(),
          parentRunId: runId,
        }),
    },
  };
}

function openHubAccess(options: ToolboxOptions, current: () => Label, note: (label: Label) => void): HubAccess {
  const { hub } = options;
  let writes = 0;
  const write = async (kind: "create" | "append", path: string, text: string, why: string) => {
    const { agent, runId, event, approved } = options;
    if (current().integrity === "untrusted" && isAbstract(path) && !approved) {
      throw new DaimonError(
        "hub.identity",
        `${path} stands in every prompt; a run that has read content from outside may not change it.`,
        "Give the tool a sink of `hub:<path>`, so that a person is asked.",
      );
    }
    const place = `${options.runId}/${options.step}${++writes === 1 ? "" : `.${writes}`}`;
    const author: Author = { agent, runId, eventId: event.id, step: place, label: current(), approved };
    const before = options.attempt > 1 ? await hub.written(author) : null;
    return before ?? (await hub[kind](path, text, why, author));
  };
  return {
    map: async (wanted) => {
      note(OWNER);
      return await hub.map(wanted);
    },
    search: async (query, wanted) => {
      const found = await hub.search(query, wanted);
      for (const path of new Set(found.hits.map((hit) => hit.path))) note(await hub.label(path));
      return found;
    },
    read: async (path, wanted) => {
      note(await hub.label(path));
      return await hub.read(path, wanted);
    },
    create: (path, text, why) => write("create", path, text, why),
    append: (path, text, why) => write("append", path, text, why),
  };
}

/** The label of what a call returned: what it read in the hub, and strangers' words when it reached outside. */
export function outputLabel(registered: RegisteredTool, sink: string, read: Label): Label {
  const { effect } = registered.tool;
  const inside = effect === "none" || (sink === "" ? effect === "write" : !isOutside(sink));
  return inside ? read : join(read, { integrity: "untrusted", privacy: "private" });
}
