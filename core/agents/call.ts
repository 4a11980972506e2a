import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import { BLANK, type Label } from "../define/label.ts";
import type { StepJournal, StepNotes } from "../define/steps.ts";
import type { ModelAnswer } from "../models/models.ts";
import type { Guard } from "../policy/guard.ts";
import { openToolbox, outputLabel, type RegisteredTool, type Surroundings } from "./toolbox.ts";

/** What a tool call stands in. */
export interface CallOptions extends Surroundings {
  readonly agent: { readonly name: string };
  readonly journal: StepJournal;
  readonly tools: ReadonlyMap<string, RegisteredTool>;
  readonly guard: Guard;
  readonly redact: (text: string) => string;
  readonly limits: { readonly minutes: number };
  /** What the owner wrote, when nothing from outside had been read before it. */
  readonly ownerText: string | undefined;
  /** The same call was made before, too often. */
  readonly tried: boolean;
}

/** What became of a call, as it is kept: `text` is what the model is shown. */
export interface Outcome {
  readonly text: string;
  readonly failed: boolean;
  readonly label: Label;
}

/** Milliseconds kept back from the run's minutes, so that an agent can still say that they are over. */
const FAREWELL = 3000;
/** Tokens of a result that the model is shown. */
const RESULT_TOKENS = 8000;

/**
 * One tool call from the model, to the end: known, fitting, allowed or approved, made, kept. Whatever goes wrong
 * is the outcome that the model reads; only an aborted run throws.
 */
export async function callTool(options: CallOptions, call: ToolCall): Promise<Outcome> {
  const decided = await decide(options, call);
  return typeof decided === "string" ? await refuse(options.journal, call, decided) : await make(options, decided);
}

type ToolCall = ModelAnswer["toolCalls"][number];

/** A call that may be made. */
interface Made {
  readonly registered: RegisteredTool;
  readonly input: unknown;
  readonly sink: string;
  readonly approved: boolean;
}

/** The call that may be made, or the sentence that says why it is not. */
async function decide(options: CallOptions, call: ToolCall): Promise<Made | string> {
  const registered = options.tools.get(call.name);
  if (!registered) {
    const names = [...options.tools.keys()].join(", ");
    return `There is no tool of that name. There are: ${names || "none"}.`;
  }
  const { tool } = registered;
  if (call.invalid) return `The call cannot be read: ${call.invalid}`;
  const parsed = await tool.input.safeParseAsync(call.input);
  if (!parsed.success) return `The input does not fit:\n${z.prettifyError(parsed.error)}`;
  if (options.tried) {
    return "This same call was made before, with this result. Answer with what you have, or do something else.";
  }
  const input: unknown = parsed.data;
  let sink: string;
  try {
    sink = tool.sink?.(input as never) ?? "";
  } catch (error) {
    return `Where it would go cannot be told: ${toFailure(error).message}`;
  }
  const verdict = options.guard({
    tool: tool.name,
    effect: tool.effect,
    sink,
    label: options.label,
    ...(options.ownerText === undefined ? {} : { ownerText: options.ownerText }),
    ...(tool.approval ? { approval: true } : {}),
  });
  if (verdict.decision === "deny") return `Not allowed: ${verdict.reason}.`;
  if (verdict.decision === "ask") {
    const title = `May ${options.agent.name} use ${tool.name}? You are asked because ${verdict.reason}.`;
    if (!(await options.journal.approve("approve", { title, action: { tool: tool.name, input } }))) {
      return "The owner did not allow this call. Do not seek another way to it; say that it was not done.";
    }
  }
  return { registered, input, sink, approved: verdict.decision === "ask" };
}

async function make(options: CallOptions, made: Made): Promise<Outcome> {
  const { journal } = options;
  const { tool } = made.registered;
  const harmless = tool.effect === "none" || tool.effect === "read" || tool.repeatable === true;
  return await journal.record<Outcome>({
    name: tool.name,
    kind: "tool",
    detail: plain({ tool: tool.name, input: made.input, effect: tool.effect, sink: made.sink }),
    effect: !harmless,
    code: async (notes) => {
      journal.publish({ kind: "tool", name: tool.name, state: "started" });
      const outcome = await execute(options, made, notes);
      notes.label(outcome.label);
      journal.publish({ kind: "tool", name: tool.name, state: outcome.failed ? "failed" : "completed" });
      return outcome;
    },
    onUnknown: async () => {
      journal.publish({ kind: "tool", name: tool.name, state: "failed" });
      return { text: unknownOutcome("The system stopped during this call"), failed: true, label: BLANK };
    },
  });
}

async function execute(options: CallOptions, made: Made, notes: StepNotes): Promise<Outcome> {
  const { journal, clock, label } = options;
  const { registered, sink, input, approved } = made;
  const watched = watch(journal, clock, options.limits.minutes);
  const { toolbox, ...opened } = openToolbox({
    ...options,
    agent: options.agent.name,
    runId: journal.runId,
    step: notes.key,
    attempt: notes.attempt,
    secret: registered.secret,
    label,
    approved,
    signal: watched.signal,
  });
  const shown = (text: string) => cut(options.redact(plain(text)));
  try {
    const run = async () => await registered.tool.run(input as never, toolbox);
    const output = await Promise.race([run(), watched.over]);
    const text = typeof output === "string" ? output : (JSON.stringify(output) ?? "Done.");
    return { text: shown(text), failed: false, label: outputLabel(registered, sink, opened.label()) };
  } catch (error) {
    journal.signal.throwIfAborted();
    const { message, next } = toFailure(error);
    const text = watched.signal.aborted ? unknownOutcome(message) : [message, next].filter(Boolean).join(" ");
    return { text: shown(text), failed: true, label: outputLabel(registered, sink, opened.label()) };
  } finally {
    watched.stop();
  }
}

/** Keeps a call that was not made, so that the run's history shows it. */
async function refuse(journal: StepJournal, call: { name: string; input: unknown }, text: string): Promise<Outcome> {
  const name = call.name.replace(/\W/g, "_").slice(0, 64) || "tool";
  return await journal.record<Outcome>({
    name,
    kind: "tool",
    detail: plain({ tool: name, input: call.input, refused: true }),
    code: async () => {
      journal.publish({ kind: "tool", name, state: "failed" });
      return { text: plain(text), failed: true, label: BLANK };
    },
  });
}

const unknownOutcome = (why: string) =>
  `${why}. Outcome unknown: it may or may not have taken effect; check before trying again.`;

/**
 * A signal that aborts with the run or when its minutes are over, and a promise that then rejects, for whatever
 * does not listen to signals. Throws at once when the run is aborted, or `limit.minutes`.
 */
export function watch(
  journal: StepJournal,
  clock: Clock,
  minutes: number,
): { signal: AbortSignal; over: Promise<never>; stop(): void } {
  journal.signal.throwIfAborted();
  const whole = minutes * 60_000;
  const left = whole - Math.min(FAREWELL, whole / 10) - journal.workedMilliseconds;
  const ended = new DaimonError("limit.minutes", `the ${minutes} minutes of this run are over.`);
  if (left <= 0) throw ended;
  const controller = new AbortController();
  const stop = clock.after(left, () => controller.abort(ended));
  const signal = AbortSignal.any([journal.signal, controller.signal]);
  const over = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  over.catch(() => {}); // Not everybody waits for it.
  return { signal, over, stop };
}

/** The value as the database can keep it: without NUL and halves of characters, which a model may well write. */
export function plain<Value>(value: Value): Value {
  const clean = (text: string) => text.replaceAll("\0", "").toWellFormed();
  if (typeof value === "string") return clean(value) as Value;
  return JSON.parse(JSON.stringify(value, (_, inner: unknown) => (typeof inner === "string" ? clean(inner) : inner)));
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  const most = RESULT_TOKENS * 4;
  if (bytes.length <= most) return text;
  const head = bytes
    .subarray(0, most)
    .toString("utf8")
    .replace(/\uFFFD+$/, "");
  return `${head}\n[cut: the first ${most} of ${bytes.length} bytes; ask for less at a time]`;
}
