import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MessageCreateParamsBase, MessageCreateParamsStreaming } from "@anthropic-ai/sdk/resources/messages";
import { z } from "zod";
import { type Clock, systemClock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import { openLog } from "../base/log.ts";
import type { Config } from "../define/config.ts";
import { defineTool } from "../define/daimon.ts";
import { readSpend } from "../store/spend.ts";
import { testDatabase } from "../test/database.ts";
import { type Script, scriptedModel, testConfig, testEnvironment } from "../test/models.ts";
import { type CompletionReply, startOpenAIServer } from "../test/openai.ts";
import { loadLibrary, type Patience } from "./call.ts";
import type { MessagesBody } from "./demo/rules.ts";
import type { Reply } from "./demo/server.ts";
import { type ModelMessage, type ModelRequest, openModels } from "./models.ts";

const NOW = new Date("2026-11-22T23:30:00Z"); // the 23rd in Berlin
const clock: Clock = { ...systemClock, now: () => NOW };

const saveIdea = defineTool({
  name: "save_idea",
  description: "Saves an idea.",
  input: z.object({ title: z.string(), tags: z.array(z.string()).default([]) }),
  effect: "write",
  run: async () => ({}),
});

function ask(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    role: "light",
    runId: "run_1",
    step: "ask/model",
    system: "Be brief.",
    messages: [{ role: "user", content: "hi" }],
    tools: [saveIdea],
    limits: {},
    signal: new AbortController().signal,
    ...more,
  };
}

/** Models of a config in an environment of these values, on a database of their own. */
async function open(
  t: TestContext,
  options: { config?: Partial<Config>; values?: Record<string, string>; patience?: Patience } = {},
) {
  const { database } = await testDatabase(t);
  const models = await openModels({
    config: testConfig(options.config),
    environment: testEnvironment(options.values),
    database,
    log: openLog({}),
    clock,
    ...(options.patience ? { patience: options.patience } : {}),
  });
  t.after(() => models.stop());
  const spend = async (scope: string) => (await readSpend(database, [scope]))[0]!;
  return { models, database, spend };
}

async function openScripted(t: TestContext, script: Script, config: Partial<Config> = {}) {
  const server = await scriptedModel(t, script);
  return { server, ...(await open(t, { config, values: server.values })) };
}

async function failure(promise: Promise<unknown>): Promise<DaimonError> {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof DaimonError, String(error));
  return error;
}

const HI: ModelMessage = { role: "user", content: "hi" };

/** What the tool `save_idea` came to. */
function saved(toolCallId: string, output: { type: "text" | "error-text"; value: string }): ModelMessage {
  return { role: "tool", content: [{ type: "tool-result", toolCallId, toolName: "save_idea", output }] };
}

/** As it goes over the wire: a field is there or not, never undefined. */
type Sent<Value> = Value extends object ? { [Name in keyof Value]: Sent<Exclude<Value[Name], undefined>> } : Value;

test("whatever our server takes, the vendor's types take: the compiler checks it", () => {
  const asVendor = (body: Sent<MessagesBody>): MessageCreateParamsBase => body;
  assert.ok(asVendor);
});

test("a call streams its text and gives tool calls, messages, tokens and dollars", async (t) => {
  const input = { title: "Webhooks" };
  const usage = {
    input_tokens: 100,
    cache_creation_input_tokens: 3000,
    cache_read_input_tokens: 500,
    output_tokens: 15,
  };
  const { models, server, spend } = await openScripted(t, [
    { text: "Let me see.", toolCalls: [{ name: "save_idea", input, id: "toolu_1" }], usage },
  ]);
  const pieces: string[] = [];
  const answer = await models.call(ask({ onDelta: (text) => pieces.push(text) }));
  assert.deepEqual(pieces, ["Let ", "me ", "see."]);
  assert.equal(answer.text, "Let me see.");
  assert.deepEqual(answer.toolCalls, [{ id: "toolu_1", name: "save_idea", input }]);
  assert.equal(answer.finish, "tool-calls");
  assert.deepEqual(answer.detail, {
    role: "light",
    provider: "anthropic",
    model: "claude-haiku-4-5",
    demo: false,
    promptTokens: Math.ceil(Buffer.byteLength(server.requests[0]!.body) / 4),
    inputTokens: 3600,
    outputTokens: 15,
    cacheReadTokens: 500,
    cacheWriteTokens: 3000,
  });
  // Haiku 4.5: $1 in, $1.25 written to the cache, $0.10 read from it, $5 out, each per million.
  const usd = (100 * 1 + 3000 * 1.25 + 500 * 0.1 + 15 * 5) / 1e6;
  assert.ok(Math.abs(answer.usd - usd) < 1e-12);
  for (const scope of ["run:run_1", "day:2026-11-23", "month:2026-11"]) {
    assert.deepEqual(await spend(scope), { scope, spentUsd: 0.003975, reservedUsd: 0 });
  }
});

test("the bytes of a whole tool turn are what the vendor's types and the strict server take", async (t) => {
  const { models, server } = await openScripted(t, [
    { text: "Saving.", toolCalls: [{ name: "save_idea", input: { title: "A" }, id: "toolu_1" }] },
    "Saved.",
  ]);
  const first = await models.call(ask());
  const kept = JSON.parse(JSON.stringify(first.messages)) as ModelMessage[];
  const messages = [HI, ...kept, saved("toolu_1", { type: "error-text", value: "No room." })];
  assert.equal((await models.call(ask({ step: "ask/model#2", messages }))).text, "Saved.");
  const sent = {
    model: "claude-haiku-4-5",
    max_tokens: 4096,
    system: [{ type: "text", text: "Be brief." }],
    messages: [
      { role: "user", content: [{ type: "text", text: "hi" }] },
      {
        role: "assistant",
        content: [
          { type: "text", text: "Saving." },
          { type: "tool_use", id: "toolu_1", name: "save_idea", input: { title: "A" } },
        ],
      },
      {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "No room.", is_error: true }],
      },
    ],
    tools: [
      {
        name: "save_idea",
        description: "Saves an idea.",
        input_schema: {
          type: "object",
          properties: {
            title: { type: "string" },
            tags: { default: [], type: "array", items: { type: "string" } },
          },
          required: ["title"],
        },
      },
    ],
    tool_choice: { type: "auto" },
    stream: true,
  } satisfies MessageCreateParamsStreaming;
  assert.deepEqual(JSON.parse(server.requests[1]!.body), sent);
  assert.equal(server.requests[1]!.headers["x-api-key"], "test-key");
  assert.equal(server.requests[1]!.step, "run_1/ask/model#2");
});

test("a long beginning is marked for the cache, and so is the middle of a loop", async (t) => {
  const { models, server } = await openScripted(t, () => ({ text: "ok" }));
  const system = "You are Daimon. ".repeat(300);
  const turn: ModelMessage[] = [
    {
      role: "assistant",
      content: [{ type: "tool-call", toolCallId: "a", toolName: "save_idea", input: { title: "A" } }],
    },
    saved("a", { type: "text", value: "ok" }),
  ];
  const messages: ModelMessage[] = [{ role: "user", content: "hi" }, ...turn];
  await models.call(ask({ system }));
  const { detail } = await models.call(ask({ system, messages, step: "two" }));
  const marks = server.requests.map((each) => each.body.split('"cache_control":{"type":"ephemeral"}').length - 1);
  assert.deepEqual(marks, [1, 2]);
  assert.ok(detail.cacheReadTokens > 1200 && detail.cacheWriteTokens > 10);
  assert.ok(!JSON.stringify(messages).includes("providerOptions"), "the kept messages stay as they are");
});

test("thinking is neither shown nor lost: it goes back with its signature", async (t) => {
  const toolCalls = [{ name: "save_idea", input: { title: "A" }, id: "a" }];
  const { models, server } = await openScripted(t, [{ thinking: "Hm, an idea.", text: "Ok.", toolCalls }, "done"]);
  let shown = "";
  const first = await models.call(
    ask({
      onDelta: (text) => {
        shown += text;
      },
    }),
  );
  assert.equal(shown, "Ok.");
  assert.equal(first.text, "Ok.");
  const kept = JSON.parse(JSON.stringify(first.messages)) as ModelMessage[];
  const messages = [HI, ...kept, saved("a", { type: "text", value: "ok" })];
  await models.call(ask({ messages, step: "two" }));
  const [thinking] = JSON.parse(server.requests[1]!.body).messages[1].content;
  assert.equal(thinking.thinking, "Hm, an idea.");
  assert.match(thinking.signature, /^sig_/);
});

test("messages that no request can be made of are refused for good, and cost nothing", async (t) => {
  const { models, server, spend } = await openScripted(t, ["never"]);
  const messages = [{ role: "tool", content: "what?" }] as unknown as ModelMessage[];
  assert.equal((await failure(models.call(ask({ messages })))).code, "model.invalid");
  assert.equal(server.requests.length, 0);
  assert.equal((await spend("run:run_1")).spentUsd, 0);
});

test("a step may be named in any script", async (t) => {
  const { models, server } = await openScripted(t, ["hi"]);
  await models.call(ask({ step: "für Zoë 語 \ud800/model#1" }));
  assert.equal(server.requests[0]!.step, "run_1/für Zoë 語 \ufffd/model#1");
});

test("a model's name in place of a model is refused: it would go to the library maker's gateway", async () => {
  const { streamText } = await loadLibrary();
  const result = async () => await streamText({ model: "gpt-5", prompt: "hi", onError: () => {} }).text;
  await assert.rejects(result, /Models are objects here/);
});

test("warming up finds what is wrong before the first call", async (t) => {
  const light = { provider: "anthropic", model: "my-model" } as const;
  const { models } = await open(t, {
    config: { models: { light, heavy: light } },
    values: { ANTHROPIC_API_KEY: "k" },
  });
  assert.equal(models.list()[0]!.problem, undefined);
  await models.warm();
  assert.equal(models.list()[0]!.problem?.code, "price.unknown");
});

const FULL = "in full";
const FAULTS: [string, Reply, string, typeof FULL | 0][] = [
  ["a wrong key", { fault: { status: 401, message: "invalid x-api-key" } }, "model-key.wrong", 0],
  ["a key that may not", { fault: { status: 403 } }, "model-key.wrong", 0],
  ["an unknown model", { fault: { status: 404, message: "model: claude-x" } }, "model.unknown", 0],
  ["a bad request", { fault: { status: 400 } }, "model.invalid", 0],
  ["no credit", { fault: { status: 400, message: "Your credit balance is too low" } }, "model.invalid", 0],
  ["a spent quota", { fault: { status: 429, message: "check your plan and billing" } }, "model.invalid", 0],
  ["a rate limit", { fault: { status: 429, retryAfter: 1 } }, "model.overloaded", 0],
  ["overload", { fault: { status: 529 } }, "model.overloaded", 0],
  ["a server's error", { fault: { status: 500 } }, "model.failed", 0],
  ["a closed connection", { fault: "refuse" }, "model.unreachable", FULL],
  ["a cut stream", { text: "one two three four", fault: "cut" }, "model.cut", FULL],
  ["a stream that ends early", { text: "one two three four", fault: "end" }, "model.cut", FULL],
  ["overload in the stream", { text: "one two three four", fault: "error" }, "model.overloaded", FULL],
  ["silence", { fault: "silence" }, "model.unreachable", FULL],
];

for (const [what, reply, code, settled] of FAULTS) {
  test(`${what} is ${code}, is not tried again, and is settled at ${settled}`, async (t) => {
    const server = await scriptedModel(t, [reply, "never"]);
    const { models, spend } = await open(t, {
      values: server.values,
      patience: { silence: 400, whole: 5000 },
    });
    const error = await failure(models.call(ask()));
    assert.equal(error.code, code);
    assert.ok(error.next, "says what to do next");
    assert.ok(!JSON.stringify([error.message, error.next]).includes("test-key"));
    assert.equal(server.requests.length, 1);
    const { spentUsd, reservedUsd } = await spend("day:2026-11-23");
    assert.equal(reservedUsd, 0);
    assert.ok(settled === FULL ? spentUsd > 4096 * 5e-6 : spentUsd === 0, String(spentUsd));
  });
}

test("a tool's input that is no JSON is told to the model, and the conversation goes on", async (t) => {
  const broken: Reply = {
    toolCalls: [{ name: "save_idea", input: { title: "A" }, id: "toolu_1" }],
    fault: "json",
  };
  const { models, server } = await openScripted(t, [broken, { toolCalls: [{ name: "nothing", input: {} }] }, "ok"]);
  const first = await models.call(ask());
  assert.match(first.toolCalls[0]?.invalid ?? "", /JSON/);
  assert.equal(first.messages.length, 1);
  const messages = [HI, ...first.messages, saved("toolu_1", { type: "error-text", value: "No." })];
  const second = await models.call(ask({ messages, step: "two" }));
  assert.match(second.toolCalls[0]?.invalid ?? "", /unavailable tool/);
  assert.deepEqual(
    server.requests.map((each) => each.status),
    [200, 200],
  );
});

test("nobody at the address: it costs nothing and the sentence names the address", async (t) => {
  const gone = await scriptedModel(t, []);
  await gone.stop();
  const { models, spend } = await open(t, { values: gone.values });
  const error = await failure(models.call(ask()));
  assert.equal(error.code, "model.unreachable");
  assert.match(error.message, new RegExp(`Nothing answers at ${new URL(gone.url).host}`));
  assert.equal((await spend("run:run_1")).spentUsd, 0);
});

test("an aborted call throws the signal's reason, and counts in full", async (t) => {
  const { models, spend } = await openScripted(t, [{ text: "one two three", pace: 50 }]);
  const controller = new AbortController();
  const reason = new Error("canceled");
  const call = models.call(ask({ signal: controller.signal, onDelta: () => controller.abort(reason) }));
  await assert.rejects(call, reason);
  assert.ok((await spend("run:run_1")).spentUsd > 0.02);
});

test("an address with /v1 and one without reach the same place", async (t) => {
  const server = await scriptedModel(t, () => ({ text: "hi" }));
  for (const end of ["", "/", "/v1", "/v1/"]) {
    const { models } = await open(t, { values: { ...server.values, ANTHROPIC_BASE_URL: server.url + end } });
    assert.equal((await models.call(ask())).text, "hi");
  }
  assert.deepEqual(new Set(server.requests.map((each) => each.url)), new Set(["/v1/messages"]));
});

test("without any key the demo answers over HTTP, marked, at a tenth of a small price", async (t) => {
  const { models, spend } = await open(t);
  assert.deepEqual(
    models.list().map(({ role, provider, demo }) => [role, provider, demo]),
    [
      ["light", "demo", true],
      ["heavy", "demo", true],
    ],
  );
  const answer = await models.call(ask());
  assert.match(answer.text, /no model/);
  assert.equal(answer.detail.demo, true);
  assert.equal(answer.detail.provider, "demo");
  const { inputTokens, outputTokens } = answer.detail;
  assert.ok(Math.abs(answer.usd - (inputTokens * 0.1 + outputTokens * 0.5) / 1e6) < 1e-12);
  assert.ok((await spend("run:run_1")).spentUsd > 0);
});

test("a key that is blank, wrong or missing is said with the next command, and is never the demo", async (t) => {
  const both: Config["models"] = {
    light: { provider: "anthropic", model: "claude-haiku-4-5" },
    heavy: { provider: "openai", model: "gpt-5" },
  };
  const one = await open(t, { config: { models: both }, values: { ANTHROPIC_API_KEY: "sk-1" } });
  const missing = await failure(one.models.call(ask({ role: "heavy" })));
  assert.equal(missing.code, "model-key.missing");
  assert.match(missing.message, /OPENAI_API_KEY is not set/);
  assert.match(missing.next!, /Put OPENAI_API_KEY=… in .*\.env and start again/);
  assert.equal(one.models.list()[1]!.problem?.code, "model-key.missing");

  const odd = await open(t, { values: { ANTHROPIC_API_KEY: "sk-…" } });
  assert.equal((await failure(odd.models.call(ask()))).code, "model-key.wrong");

  const server = await scriptedModel(t, [{ fault: { status: 401, message: "invalid x-api-key" } }, "hi"]);
  const wrong = await open(t, { values: server.values });
  const error = await failure(wrong.models.call(ask()));
  assert.match(error.message, /does not take the key in ANTHROPIC_API_KEY \(401: invalid x-api-key\)/);
  assert.match(error.next!, /ANTHROPIC_API_KEY=….*start again/);
  assert.equal(wrong.models.list()[0]!.problem?.code, "model-key.wrong");
  await wrong.models.call(ask());
  assert.equal(wrong.models.list()[0]!.problem, undefined);
});

test("an address of its own without a key is asked without one; when it wants one, that is said", async (t) => {
  const server = await scriptedModel(t, ["hi", { fault: { status: 401, message: "who are you" } }]);
  const { models } = await open(t, { values: { ANTHROPIC_BASE_URL: server.url } });
  assert.equal((await models.call(ask())).detail.demo, false);
  assert.equal((await failure(models.call(ask()))).code, "model-key.missing");
});

test("a price that nobody knows is refused before anything is sent, unless the config says it", async (t) => {
  const odd = { provider: "anthropic", model: "my-model" } as const;
  const models = { light: odd, heavy: { ...odd, price: { input: 2, output: 4 } } };
  const { models: opened, server } = await openScripted(
    t,
    [{ text: "hi", usage: { input_tokens: 1000, output_tokens: 10 } }],
    { models },
  );
  const error = await failure(opened.call(ask()));
  assert.equal(error.code, "price.unknown");
  assert.match(error.next!, /models\.light\.price/);
  assert.equal(server.requests.length, 0);
  assert.equal((await opened.call(ask({ role: "heavy" }))).usd, (1000 * 2 + 10 * 4) / 1e6);
});

test("a role that is not there is named, with those that are", async (t) => {
  const { models } = await open(t);
  const error = await failure(models.call(ask({ role: "giant" })));
  assert.equal(error.code, "model.unknown");
  assert.match(error.next!, /light, heavy/);
});

for (const [scope, limits, more] of [
  ["run", { run: { turns: 20, usd: 0.1, minutes: 15 } }, {}],
  ["run", {}, { limits: { usd: 0.1 } }],
  ["day", { dayUsd: 0.1 }, {}],
  ["month", { monthUsd: 0.1 }, {}],
] as const) {
  test(`forty calls at once never pass the limit of the ${scope}${"limits" in more ? " that the caller sets" : ""}`, async (t) => {
    const config = { limits: { ...testConfig().limits, ...limits } };
    const usage = { input_tokens: 2000, output_tokens: 3000 };
    const { models, server, spend } = await openScripted(t, () => ({ text: "hi", delay: 20, usage }), config);
    const calls = Array.from({ length: 40 }, (_, index) =>
      models.call(ask({ step: `model#${index}`, runId: scope === "run" ? "run_1" : `run_${index}`, ...more })),
    );
    const ends = await Promise.allSettled(calls);
    const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason.code] : []));
    const cost = ends.length - errors.length;
    assert.deepEqual(new Set(errors), new Set(["limit.usd"]));
    assert.ok(cost >= 4, `${cost} calls went through`);
    assert.equal(server.paidCalls(), cost);
    const name = { run: "run:run_1", day: "day:2026-11-23", month: "month:2026-11" }[scope];
    const { spentUsd, reservedUsd } = await spend(name);
    assert.ok(spentUsd <= 0.1 && Math.abs(spentUsd - cost * 0.017) < 1e-9, String(spentUsd));
    assert.equal(reservedUsd, 0);
  });
}

test("a limit's sentence says which, how much is gone, and where to raise it", async (t) => {
  const { models, server } = await openScripted(t, ["never"], {
    limits: { ...testConfig().limits, dayUsd: 0.01 },
  });
  const error = await failure(models.call(ask()));
  assert.equal(error.code, "limit.usd");
  assert.match(
    error.message,
    /The limit of the day 2026-11-23 is \$0\.010; \$0\.00 is spent or held, and the next model call may cost \$0\.02/,
  );
  assert.match(error.next!, /limits\.dayUsd/);
  assert.equal(server.requests.length, 0);
});

for (const provider of ["openai", "openai-compatible"] as const) {
  test(`${provider}: text, tool calls, cached tokens and a tool's result go over chat completions`, async (t) => {
    const replies: CompletionReply[] = [
      {
        text: "Let me see.",
        toolCalls: [{ name: "save_idea", input: { title: "A" } }],
        usage: { input: 1000, cached: 800, output: 20 },
      },
      { text: "Saved." },
    ];
    const server = await startOpenAIServer(() => replies.shift()!);
    t.after(() => server.stop());
    const compatible = {
      provider,
      model: "some-model",
      baseUrl: server.url,
      price: { input: 1, output: 4, cacheRead: 0.5 },
    } as const;
    const light = provider === "openai" ? ({ provider, model: "gpt-5" } as const) : compatible;
    const { models } = await open(t, {
      config: { models: { light, heavy: light } },
      values: provider === "openai" ? { OPENAI_API_KEY: "sk-o", OPENAI_BASE_URL: server.url } : {},
    });
    const first = await models.call(ask());
    assert.equal(first.text, "Let me see.");
    assert.deepEqual(first.toolCalls, [{ id: "call_0", name: "save_idea", input: { title: "A" } }]);
    const { inputTokens, cacheReadTokens, outputTokens, promptTokens, demo } = first.detail;
    assert.deepEqual([inputTokens, cacheReadTokens, outputTokens, demo], [1000, 800, 20, false]);
    assert.equal(promptTokens, Math.ceil(server.requests[0]!.bytes / 4));
    // gpt-5: $1.25 in, $0.125 cached, $10 out.
    const usd =
      provider === "openai" ? (200 * 1.25 + 800 * 0.125 + 20 * 10) / 1e6 : (200 * 1 + 800 * 0.5 + 20 * 4) / 1e6;
    assert.ok(Math.abs(first.usd - usd) < 1e-12, `${first.usd} ${usd}`);
    const messages = [HI, ...first.messages, saved("call_0", { type: "text", value: "ok" })];
    assert.equal((await models.call(ask({ messages, step: "two" }))).text, "Saved.");
    assert.equal(server.requests[0]!.headers.authorization, provider === "openai" ? "Bearer sk-o" : undefined);
  });
}

test("a provider that tells no usage is settled in full", async (t) => {
  const server = await startOpenAIServer(() => ({ text: "hi", usage: null }));
  t.after(() => server.stop());
  const light = {
    provider: "openai-compatible",
    model: "m",
    baseUrl: server.url,
    price: { input: 1, output: 1 },
  } as const;
  const { models, spend } = await open(t, { config: { models: { light, heavy: light } } });
  const { usd } = await models.call(ask());
  assert.ok(usd > 4096e-6);
  assert.ok(Math.abs((await spend("run:run_1")).spentUsd - usd) < 1e-8);
});

test("an address that is none is said before anything is sent", async (t) => {
  const light = { provider: "openai-compatible", model: "m" } as const;
  const { models } = await open(t, { config: { models: { light, heavy: light } } });
  assert.equal((await failure(models.call(ask()))).code, "model.invalid");
});

test("a paid answer is given even when the books cannot be written", async (t) => {
  const { models, database } = await openScripted(t, async () => {
    await database.close();
    return { text: "hi" };
  });
  t.mock.method(database, "close", async () => {});
  assert.equal((await models.call(ask())).text, "hi");
});
