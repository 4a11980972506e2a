import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type ConversationMessage, createAgents, readDefaultAgent } from "../agents/agents.ts";
import type { RegisteredTool } from "../agents/toolbox.ts";
import { house } from "../agents/tools/house.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { createLive, type LiveChange } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import type { Agent } from "../define/agent.ts";
import type { Answer, Ask } from "../define/context.ts";
import { defineTool, z } from "../define/daimon.ts";
import type { DaimonEvent, NewEvent } from "../define/event.ts";
import { type Label, OWNER } from "../define/label.ts";
import type { Step as StepRow } from "../define/run.ts";
import { type Hub, openHub } from "../hub/hub.ts";
import { openModels } from "../models/models.ts";
import { guard } from "../policy/guard.ts";
import { Halt } from "../runs/halt.ts";
import { type JournalRoot, openJournal } from "../runs/journal.ts";
import type { Database } from "../store/database.ts";
import { keepOutgoing } from "../store/messages.ts";
import { testDatabase } from "./database.ts";
import { type Script, scriptedModel, testConfig, testEnvironment } from "./models.ts";

export const NEVER = new Promise<never>(() => {});
/** Those of the house. */
export const limits = { turns: 20, usd: 10, minutes: 15 };

/** A whole house around one run: a real database, hub, model client, and the run's real journal. */
export async function testAgent(
  t: TestContext,
  script: Script,
  more: {
    tools?: RegisteredTool[] | ((hub: Hub) => RegisteredTool[]);
    agent?: Partial<Agent>;
    label?: Label;
    clock?: Clock;
    config?: object;
    key?: false;
  } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), "daimon-agents-"));
  const { database } = await testDatabase(t);
  const server = await scriptedModel(t, script);
  const log = openLog({});
  const clock = more.clock ?? systemClock;
  const hub = await openHub({ root: join(folder, "hub"), cache: join(folder, "cache"), log, clock });
  const environment = more.key === false ? testEnvironment() : server.environment;
  const models = await openModels({ config: testConfig(more.config), environment, database, log, clock });
  t.after(async () => {
    await models.stop();
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  });
  const standard = await readDefaultAgent();
  const event: DaimonEvent = {
    id: "evt_1",
    source: "chat",
    type: "message",
    key: "k",
    time: new Date(),
    data: null,
    label: more.label ?? OWNER,
  };
  const emitted: NewEvent[] = [];
  const earlier: ConversationMessage[] = [];
  const tools = typeof more.tools === "function" ? more.tools(hub) : (more.tools ?? []);
  const agents = createAgents({
    agents: () => [{ ...standard, ...more.agent }],
    tools: () => new Map(tools.map((registered) => [registered.tool.name, registered])),
    models,
    hub,
    guard,
    redact: (text) => text.replaceAll("s3cret-value", "‹TOKEN›"),
    limits,
    emit: async (wanted) => `evt_emitted_${emitted.push(wanted)}`,
    history: async () => earlier,
    answer: (answer) => keepOutgoing(database, answer),
    clock,
    log,
    zone: "Europe/Amsterdam",
  });
  await database.query(
    "insert into runs (id, event_id, handler, status) values ('run_1', 'evt_1', 'agent:default', 'running')",
  );
  const run = openRun(database, event, clock);
  return {
    ...run,
    hub,
    server,
    database,
    agents,
    event,
    emitted,
    earlier,
    ask: (ask: Ask | string) =>
      run.carry((journal) => agents.ask(typeof ask === "string" ? { prompt: ask } : ask, journal.journal, event)),
    bodies: () => server.requests.map((request) => JSON.parse(request.body)),
    results: () => toolResults(server.requests.at(-1)!.body),
  };
}

/** One run that may be carried several times: what it kept stays. */
function openRun(database: Database, answered: DaimonEvent, clock: Clock) {
  const event = { ...answered, problem: null };
  const kept = new Map<string, StepRow>();
  const changes: LiveChange[] = [];
  const live = createLive();
  live.subscribe((change) => changes.push(change));
  const run = {
    id: "run_1",
    handler: "agent:default",
    version: "1",
    attempts: 0,
    maxAttempts: 3,
    delays: [],
    limits: {},
    usd: 0,
    parentId: null,
    createdAt: new Date(),
    startedAt: new Date(),
    workedMilliseconds: 0,
    label: event.label,
    event,
    events: [event],
  };
  let claim = 0;
  let attempts = 0;
  let crash = () => {};
  let halt = new Halt();
  return {
    kept,
    changes,
    keys: () => [...kept.keys()],
    /** What kill -9 leaves: nothing more is kept, and nobody is told. */
    crash: () => crash(),
    cancel: () => halt.now("canceled"),
    /** So many tries have failed before. */
    failed: (tries: number) => {
      attempts = tries;
    },
    async carry<Result>(work: (root: JournalRoot) => Promise<Result>): Promise<Result | "suspended" | "crashed"> {
      halt = new Halt();
      const root = openJournal({
        run: { ...run, attempts, claim: ++claim, keyed: false },
        kept: [...kept.values()],
        changed: false,
        presence: { holds: () => true, beat: async () => {} },
        database,
        keepStep: async ({ claim: _, ...step }) => {
          kept.set(step.key, step);
          return true;
        },
        clock,
        live,
        began: performance.now(),
        halt,
        chance: () => 0,
      });
      const crashed = new Promise<"crashed">((resolve) => {
        crash = () => {
          root.close();
          halt.now("lost");
          resolve("crashed");
        };
      });
      return await Promise.race([work(root), root.suspended.then(() => "suspended" as const), crashed]);
    },
  };
}

interface Result {
  readonly tool_use_id: string;
  readonly is_error?: boolean;
  readonly content: string | { text: string }[];
}

/** What the model was told about its last calls. */
export function toolResults(body: string): { text: string; failed: boolean }[] {
  const last: { content: (Result & { type: string })[] } = JSON.parse(body).messages.at(-1);
  return last.content
    .filter((block) => block.type === "tool_result")
    .map(({ content, is_error }) => ({
      text: typeof content === "string" ? content : content.map((part) => part.text).join(""),
      failed: is_error === true,
    }));
}

/** A reply that calls one tool. */
export const calling = (name: string, input: unknown = {}) => ({ toolCalls: [{ name, input }] });
/** What a run came to that neither waits nor crashed. */
export const answered = (answer: unknown) => answer as Answer;
/** All that a person was asked. */
export const approvals = (database: Database) =>
  database.query<{ id: string; title: string; action: unknown; digest: string }>(
    "select id, title, action, digest from approvals",
  );

/** A tool that counts its effects in `done`. */
export function counting(done: unknown[], more: Partial<Parameters<typeof defineTool>[0]> = {}): RegisteredTool {
  return house(
    defineTool({
      name: "send_mail",
      description: "Sends a mail.",
      input: z.object({ to: z.string(), text: z.string() }),
      effect: "send",
      sink: (input) => input.to,
      run: async (input, { idempotencyKey }) => {
        done.push({ ...(input as object), key: idempotencyKey });
        return { sent: true };
      },
      ...(more as object),
    }),
  );
}

/** What `counting` is called with. */
export const mail = { to: "ann@shop.example", text: "hello" };
