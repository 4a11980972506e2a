import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { ask, failure, HI, saved, testModels } from "../test/calls.ts";
import { type CompletionReply, startOpenAIServer } from "../test/openai.ts";

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
    const { models } = await testModels(t, {
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

for (const [which, usage] of [
  ["tells no usage", null],
  ["says that it wrote less than nothing", { input: 100, cached: 0, output: -5e6 }],
  ["says that it read more than can be counted", { input: 1e22, cached: 0, output: 10 }],
] as const) {
  test(`a provider that ${which} is settled in full`, async (t) => {
    const server = await startOpenAIServer(() => ({ text: "hi", usage }));
    t.after(() => server.stop());
    const light = {
      provider: "openai-compatible",
      model: "m",
      baseUrl: server.url,
      price: { input: 1, output: 1 },
    } as const;
    const { models, spend } = await testModels(t, { config: { models: { light, heavy: light } } });
    const { usd } = await models.call(ask());
    assert.ok(usd > 4096e-6 && usd < 0.01, `${usd}`);
    assert.ok(Math.abs((await spend("run:run_1")).spentUsd - usd) < 1e-8);
  });
}

test("an address that is none is said before anything is sent", async (t) => {
  const light = { provider: "openai-compatible", model: "m" } as const;
  const { models } = await testModels(t, { config: { models: { light, heavy: light } } });
  assert.equal((await failure(models.call(ask()))).code, "model.invalid");
});

for (const provider of ["openai", "openai-compatible"] as const) {
  const answering = async (t: TestContext, reply: CompletionReply) => {
    const server = await startOpenAIServer(() => reply);
    t.after(() => server.stop());
    const light = { provider, model: "m", baseUrl: server.url, price: { input: 1, output: 1 } } as const;
    return (await testModels(t, { config: { models: { light, heavy: light } } })).models;
  };

  test(`${provider}: what ends with an error is no answer, even after some words`, async (t) => {
    const models = await answering(t, { text: "half an", finish: "error" });
    assert.equal((await failure(models.call(ask()))).code, "model.cut");
  });

  test(`${provider}: a page instead of a stream is shown by its beginning`, async (t) => {
    const body = "<html>\n<body>\n  Sign in to the network</body></html>";
    const models = await answering(t, { whole: { type: "text/html", body } });
    const error = await failure(models.call(ask()));
    assert.equal(error.code, "model.garbled");
    assert.match(error.message, /cannot be read: <html> <body> Sign in to the network/);
  });

  test(`${provider}: an error that comes as an answer is told as it is`, async (t) => {
    const body = JSON.stringify({ error: { message: "The model is loading", code: 503 } });
    const models = await answering(t, { whole: { type: "application/json", body } });
    assert.match((await failure(models.call(ask()))).message, /cannot be read: The model is loading\.$/);
  });

  test(`${provider}: a tool call at the end of the longest answer is not taken for whole`, async (t) => {
    const toolCalls = [1, 2].map((name) => ({ name: "save_idea", input: { title: `${name}` } }));
    const { toolCalls: asked } = await (await answering(t, { toolCalls, finish: "length" })).call(ask());
    assert.deepEqual(
      asked.map(({ invalid }) => invalid),
      [undefined, "it was cut, because the answer reached its longest. Say less at a time."],
    );
  });
}

test("who may not, without a key, is not told of a key that is not there", async (t) => {
  const server = await startOpenAIServer(() => ({ status: 403 }));
  t.after(() => server.stop());
  const light = {
    provider: "openai-compatible",
    model: "m",
    baseUrl: server.url,
    price: { input: 0, output: 0 },
  } as const;
  const { models } = await testModels(t, { config: { models: { light, heavy: light } } });
  const error = await failure(models.call(ask()));
  assert.equal(error.code, "model.denied");
  assert.ok(!/undefined/.test(`${error.message} ${error.next}`), error.message);
});

test("an event of a kind that nobody knows yet is passed over, as Anthropic asks; what breaks off stays broken", async (t) => {
  const usage = { input_tokens: 10, output_tokens: 2 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], usage };
  const events = [
    { type: "message_start", message },
    { type: "from_the_future", content: 1 },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "whole" } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage },
    { type: "message_stop" },
  ];
  let sent = events.length;
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const lines = events.slice(0, sent).map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    response.end(lines.join(""));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const values = { ANTHROPIC_API_KEY: "k", ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` };
  const { models } = await testModels(t, { values });
  assert.equal((await models.call(ask())).text, "whole");
  sent = 5;
  assert.equal((await failure(models.call(ask({ step: "two" })))).code, "model.cut");
});
