import { DaimonError } from "../base/errors.ts";
import type { Agent } from "../define/agent.ts";
import type { Answer } from "../define/context.ts";
import { type Label, OWNER } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import { wrapUntrusted } from "../define/note.ts";
import type { StepJournal } from "../define/steps.ts";
import type { ModelAnswer, ModelMessage, Models } from "../models/models.ts";
import { canonicalJson } from "../policy/approvals.ts";
import { join } from "../policy/labels.ts";
import { type CallOptions, callTool, type Outcome, plain, watch } from "./call.ts";

/** All that one answer is made from. */
export interface LoopOptions extends Omit<CallOptions, "label" | "ownerText" | "tried"> {
  readonly agent: Agent;
  readonly journal: StepJournal;
  readonly models: Models;
  readonly system: string;
  /** Earlier messages and the question. */
  readonly messages: readonly ModelMessage[];
  /** What the question says. Where nothing from outside was read before it, places named in it are allowed. */
  readonly prompt: string;
  /** Of earlier messages. */
  readonly historyLabel: Label;
  readonly limits: Required<Limits>;
}

/** A model call as it is kept. */
type Turn = Omit<ModelAnswer, "detail"> & {
  readonly demo: boolean;
  /** The join of all that the model had before it. Kept, because a run that goes on after a crash may know more. */
  readonly label: Label;
};

/** A call that came before, with the same input, this often is not made again. */
const MOST_REPETITIONS = 2;

/**
 * The light loop: model, tools, model, … until it answers or a limit ends it. Each model call and each tool
 * call is a step, so that a crash costs nothing that was kept. Tools never throw out of it; a model that
 * cannot be reached does, and the run is tried again; a limit does that lets not even the first call through.
 */
export async function runLoop(options: LoopOptions): Promise<Answer> {
  const { limits, prompt } = options;
  const messages = [...options.messages];
  const tried = new Map<string, number>();
  let label = join(OWNER, options.historyLabel);
  let ownerText: string | undefined;
  let said = "";
  let usd = 0;
  let turns = 0;
  let demo = false;

  const end = (why: Answer["end"], reason: string): Answer => {
    const text = why === "answered" ? reason : [said, reason].filter(Boolean).join("\n\n");
    return { text: options.redact(text), usd, turns, end: why, demo };
  };

  const stopped = (error: unknown): Answer => {
    const limit = error instanceof DaimonError && error.code.startsWith("limit.");
    if (!limit || turns === 0) throw error; // No model has said a word: there is no answer.
    const reason = `I stopped: ${error.message}${error.next ? ` ${error.next}` : ""}`;
    return end(error.code === "limit.minutes" ? "minutes" : "usd", reason);
  };

  for (;;) {
    if (turns >= limits.turns)
      return end("turns", `I stopped after ${turns} turns, the limit here, before I was done.`);
    if (usd >= limits.usd)
      return end("usd", `I stopped: $${usd.toFixed(2)} of the $${limits.usd.toFixed(2)} for this are spent.`);
    let turn: Turn;
    try {
      turn = await callModel(options, messages, label);
    } catch (error) {
      return stopped(error);
    }
    if (turns === 0 && turn.label.integrity === "trusted") ownerText = prompt;
    turns++;
    usd += turn.usd;
    demo ||= turn.demo;
    label = turn.label;
    said = turn.text.trim() || said;
    messages.push(...turn.messages);
    if (turn.toolCalls.length === 0) return end("answered", finalText(turn, said));

    const results: ToolResult[] = [];
    for (const call of turn.toolCalls) {
      const again = count(tried, canonicalJson([call.name, call.input]));
      if (again > MOST_REPETITIONS + 1) {
        return end("turns", `I stopped: I called ${call.name} in the same way ${again} times and came no further.`);
      }
      let outcome: Outcome;
      try {
        outcome = await callTool({ ...options, label, ownerText, tried: again > MOST_REPETITIONS }, call);
      } catch (error) {
        return stopped(error);
      }
      label = join(label, outcome.label);
      results.push(toolResult(call, outcome));
    }
    messages.push({ role: "tool", content: results });
  }
}

async function callModel(options: LoopOptions, messages: readonly ModelMessage[], label: Label): Promise<Turn> {
  const { agent, journal, limits } = options;
  return await journal.record<Turn>({
    name: "model",
    kind: "model",
    code: async (notes) => {
      const watched = watch(journal, options.clock, limits.minutes);
      let apart = "";
      try {
        const before = join(label, journal.label);
        notes.label(before);
        const { detail, ...answer } = await options.models.call({
          role: agent.model,
          runId: journal.runId,
          step: notes.key,
          system: options.system,
          messages: [...messages],
          tools: [...options.tools.values()].map((registered) => registered.tool),
          limits,
          onDelta: (text) => {
            apart = "\n\n";
            journal.publish({ kind: "delta", text });
          },
          onCounted: (detail, usd) => {
            notes.detail(detail);
            notes.usd(usd);
          },
          signal: watched.signal,
        });
        return plain({ ...answer, demo: detail.demo, label: before });
      } catch (error) {
        if (apart) journal.publish({ kind: "delta", text: apart });
        throw watched.signal.aborted ? watched.signal.reason : error;
      } finally {
        watched.stop();
      }
    },
  });
}

type ToolResult = Extract<Extract<ModelMessage, { role: "tool" }>["content"][number], { type: "tool-result" }>;

function toolResult(call: ModelAnswer["toolCalls"][number], outcome: Outcome): ToolResult {
  const value = outcome.label.integrity === "untrusted" ? wrapUntrusted(outcome.text, call.name) : outcome.text;
  const output = { type: outcome.failed ? ("error-text" as const) : ("text" as const), value };
  return { type: "tool-result", toolCallId: call.id, toolName: call.name, output };
}

function finalText(turn: Turn, said: string): string {
  if (turn.finish === "length") return `${said}\n\n(The answer was cut here: it reached the model's longest.)`.trim();
  if (turn.finish === "content-filter") return `${said}\n\n(The model declined to answer this.)`.trim();
  return said || "(The model gave no answer.)";
}

function count(counts: Map<string, number>, key: string): number {
  const next = (counts.get(key) ?? 0) + 1;
  counts.set(key, next);
  return next;
}
