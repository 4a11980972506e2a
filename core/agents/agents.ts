import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { DaimonError, toFailure, unknownName } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Agent } from "../define/agent.ts";
import type { Tick } from "../define/capability.ts";
import type { Answer, Ask, Context } from "../define/context.ts";
import type { DaimonEvent, NewEvent } from "../define/event.ts";
import { BLANK, type Label, STRANGER } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import type { Failure } from "../define/run.ts";
import type { StepJournal } from "../define/steps.ts";
import type { Hub } from "../hub/hub.ts";
import type { Models } from "../models/models.ts";
import type { Guard } from "../policy/guard.ts";
import { join } from "../policy/labels.ts";
import { parseAgent } from "../registry/agents.ts";
import type { RegisteredHandler } from "../runs/registered.ts";
import { CHAT_RETRY, effectiveLimits, isPermanent } from "../runs/rules.ts";
import { isAway } from "../store/database.ts";
import { runLoop } from "./loop.ts";
import { fitHistory, MAP_TOKENS, questionMessage, systemPrompt } from "./prompt.ts";
import type { RegisteredTool } from "./toolbox.ts";

const DEFAULT_FILE = `${import.meta.dirname}/default.md`;

/** The agent that answers in chat when no other is named. */
export const readDefaultAgent = async () => parseAgent(await readFile(DEFAULT_FILE, "utf8"), DEFAULT_FILE);

/** A message of a conversation, as the store keeps it. */
export interface ConversationMessage {
  readonly direction: "in" | "out";
  readonly text: string;
  readonly eventId: string | null;
  readonly detail: unknown;
}

export interface AgentsOptions {
  /** Read anew at each question, as the tools are. */
  readonly agents: () => readonly Agent[];
  readonly tools: () => ReadonlyMap<string, RegisteredTool>;
  readonly models: Models;
  readonly hub: Hub;
  readonly guard: Guard;
  /** Takes the values of secrets out of what is shown and kept. */
  readonly redact: (text: string) => string;
  /** Of each run: nothing is allowed more. */
  readonly limits: Required<Limits>;
  /** Keeps an event with its runs, and returns its id; once for each key. */
  readonly emit: (event: NewEvent) => Promise<string>;
  /** The last messages of a conversation, oldest first. */
  readonly history: (conversationId: string) => Promise<readonly ConversationMessage[]>;
  /** Keeps an answer for delivery; once for each step. */
  readonly answer: (answer: {
    conversationId: string;
    author: string;
    runId: string;
    step: string;
    text: string;
    detail: AnswerDetail;
  }) => Promise<{ messageId: string }>;
  readonly clock: Clock;
  readonly log: Log;
  /** IANA zone of the owner. */
  readonly zone: string;
}

/** What is kept beside an answer in a conversation. */
export interface AnswerDetail extends Omit<Answer, "text"> {
  readonly agent: string;
  /** `demo, no model`, when no model wrote it. */
  readonly mark?: string;
  /** The join of all that the answer was made from. */
  readonly label: Label;
  /** Why there is no real answer. */
  readonly error?: Failure;
}

export interface Agents {
  /** Lets an agent work to its end; its model and tool calls are steps of the journal. Throws `agent.missing`. */
  ask(ask: Ask, journal: StepJournal, event: DaimonEvent): Promise<Answer>;
  /** Answers a chat event `{text, conversation}` into its conversation. */
  handler(name: string): RegisteredHandler;
  /** Does what a schedule that was made with words says, by its event `{text, agent, …tick}`: asks the agent, or reminds. */
  schedule(name: string): RegisteredHandler;
}

/** The data of a schedule's event, when words made it. */
type Scheduled = Tick & { readonly text: string; readonly agent: string | null };

/** A reminder that comes so many milliseconds late says for when it was. */
const LATE = 60_000;

export function createAgents(options: AgentsOptions): Agents {
  const start = async (ask: Ask, journal: StepJournal, event: DaimonEvent, historyLabel: Label) => {
    const agent = findAgent(options.agents(), ask.agent ?? "default");
    const [soul, map, skills] = await Promise.all([
      options.hub.soul(),
      options.hub.map({ budget: MAP_TOKENS }),
      options.hub.skills(),
    ]);
    const untrusted = join(journal.label, historyLabel).integrity === "untrusted";
    return await runLoop({
      ...options,
      agent,
      journal,
      event,
      historyLabel,
      prompt: ask.prompt,
      system: systemPrompt({ soul, map: map.text, skills, instructions: agent.instructions }),
      messages: [
        ...fitHistory(ask.history ?? []).map(({ role, text }) => ({ role, content: text })),
        questionMessage({
          ...{ prompt: ask.prompt, untrusted, now: options.clock.now(), zone: options.zone },
          ...(event.source === "schedule" ? { meant: (event.data as Tick).words } : {}),
        }),
      ],
      tools: toolsOf(agent, options.tools(), skills.length > 0),
      limits: effectiveLimits(ask.limits ?? {}, effectiveLimits(agent.limits, options.limits)),
    });
  };
  const ask: Agents["ask"] = (wanted, journal, event) => start(wanted, journal, event, BLANK);

  const chat = async (name: string, event: DaimonEvent, journal: StepJournal) => {
    const { text, conversation } = event.data as { text: string; conversation: string };
    const { history, label } = earlier(await options.history(conversation), event);
    let answer: Answer & { error?: Failure };
    try {
      answer = await start({ agent: name, prompt: text, history }, journal, event, label);
    } catch (error) {
      answer = explain(error, journal.lastTry);
    }
    const { messageId } = await journal.record({
      name: "answer",
      kind: "send",
      code: async (notes) => {
        const { text, ...rest } = answer;
        const mark = answer.demo ? { mark: "demo, no model" } : {};
        return await options.answer({
          ...{ conversationId: conversation, author: name, runId: journal.runId, step: notes.key, text },
          detail: { ...rest, ...mark, agent: name, label: join(journal.label, label) },
        });
      },
    });
    return { ...answer, messageId };
  };

  const scheduled = async ({ event, send }: Context<Scheduled>, journal: () => StepJournal) => {
    const { text, agent, words, late } = event.data;
    if (agent === null) return await send({ text: `Reminder${late > LATE ? `, meant for ${words}` : ""}: ${text}` });
    const answer = await ask({ agent, prompt: text }, journal(), event);
    await send({ text: answer.demo ? `${answer.text}\n\n(demo, no model)` : answer.text });
    return answer;
  };

  // An agent's Markdown may change under a waiting run: its kept turns stand, and it goes on with the new words.
  const both = { version: "1", retry: CHAT_RETRY, secret: noSecret };
  return {
    ask,
    schedule: (name) => ({
      ...{ ...both, name: `schedule:${name}`, limits: {}, priority: 0 },
      run: scheduled as RegisteredHandler["run"],
    }),
    handler: (name) => ({
      ...{ ...both, name: `agent:${name}`, priority: 10 },
      limits: options.agents().find((agent) => agent.name === name)?.limits ?? {},
      run: (context, journal) => chat(name, context.event, journal()),
    }),
  };
}

function noSecret(secret: string): never {
  throw new DaimonError("secret.undeclared", `An agent has no secrets; ${secret} is a tool's.`);
}

function findAgent(agents: readonly Agent[], name: string): Agent {
  const found = agents.find((agent) => agent.name === name);
  if (found) return found;
  const names = agents.map((agent) => agent.name);
  throw unknownName("agent.missing", `agent "${name}"`, names);
}

/** Sorted, so that the prompt begins with the same bytes each time. */
function toolsOf(
  agent: Agent,
  installed: ReadonlyMap<string, RegisteredTool>,
  skills: boolean,
): ReadonlyMap<string, RegisteredTool> {
  const wanted = ([name]: [string, RegisteredTool]) =>
    (agent.tools.includes("*") || agent.tools.includes(name)) && (skills || name !== "skill_read");
  return new Map([...installed].filter(wanted).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** What was said before this event's message, and what that was made from. */
function earlier(messages: readonly ConversationMessage[], event: DaimonEvent) {
  const here = messages.findIndex((message) => message.direction === "in" && message.eventId === event.id);
  // Answers stand behind questions that were asked before they came; later questions are other runs' business.
  const before = messages.filter((message, place) => here < 0 || place < here || message.direction === "out");
  const said = before.map(({ direction, text, detail }) =>
    direction === "in"
      ? { role: "user" as const, text, label: BLANK }
      : { role: "assistant" as const, text, label: (detail as Partial<AnswerDetail> | null)?.label ?? STRANGER },
  );
  const history = fitHistory(said);
  return { history, label: join(...history.map((one) => one.label)) };
}

/** What a person is told when there is no answer for good. Anything else is thrown: the run is tried again. */
function explain(error: unknown, lastTry: boolean): Answer & { error: Failure } {
  if (isAway(error)) throw error;
  const failure = toFailure(error);
  if (!lastTry && !isPermanent(failure)) throw error;
  const told = /^(model|model-key|limit|price|agent)\./.test(failure.code) && isPermanent(failure);
  const text = [told ? "" : "I could not answer this.", failure.message, failure.next].filter(Boolean).join(" ");
  return { text, usd: 0, turns: 0, end: "answered", demo: false, error: failure };
}
