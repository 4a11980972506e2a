import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageCreateParamsBase, MessageCreateParamsStreaming } from "@anthropic-ai/sdk/resources/messages";
import { ask, failure, HI, saved, scriptedModels, testModels } from "../test/calls.ts";
import { scriptedModel } from "../test/models.ts";
import type { MessagesBody } from "./demo/rules.ts";
import type { ModelMessage } from "./models.ts";

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
  const { models, server, spend } = await scriptedModels(t, [
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
  const { models, server } = await scriptedModels(t, [
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
  const { models, server } = await scriptedModels(t, () => ({ text: "ok" }));
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
  const { models, server } = await scriptedModels(t, [{ thinking: "Hm, an idea.", text: "Ok.", toolCalls }, "done"]);
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
  const { models, server, spend } = await scriptedModels(t, ["never"]);
  const messages = [{ role: "tool", content: "what?" }] as unknown as ModelMessage[];
  assert.equal((await failure(models.call(ask({ messages })))).code, "model.invalid");
  assert.equal(server.requests.length, 0);
  assert.equal((await spend("run:run_1")).spentUsd, 0);
});

test("a step may be named in any script", async (t) => {
  const { models, server } = await scriptedModels(t, ["hi"]);
  await models.call(ask({ step: "für Zoë 語 \ud800/model#1" }));
  assert.equal(server.requests[0]!.step, "run_1/für Zoë 語 \ufffd/model#1");
});

test("an aborted call throws the signal's reason, and counts in full", async (t) => {
  const { models, spend } = await scriptedModels(t, [{ text: "one two three", pace: 50 }]);
  const controller = new AbortController();
  const reason = new Error("canceled");
  const call = models.call(ask({ signal: controller.signal, onDelta: () => controller.abort(reason) }));
  await assert.rejects(call, reason);
  assert.ok((await spend("run:run_1")).spentUsd > 0.02);
});

test("an address with /v1 and one without reach the same place", async (t) => {
  const server = await scriptedModel(t, () => ({ text: "hi" }));
  for (const end of ["", "/", "/v1", "/v1/"]) {
    const { models } = await testModels(t, { values: { ...server.values, ANTHROPIC_BASE_URL: server.url + end } });
    assert.equal((await models.call(ask())).text, "hi");
  }
  assert.deepEqual(new Set(server.requests.map((each) => each.url)), new Set(["/v1/messages"]));
});
