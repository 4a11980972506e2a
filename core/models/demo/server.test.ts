import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { scriptedModel } from "../../test/models.ts";
import { checkMessagesBody } from "./rules.ts";
import type { Reply } from "./server.ts";

const HI: Anthropic.MessageCreateParamsNonStreaming = {
  model: "claude-haiku-4-5",
  max_tokens: 100,
  messages: [{ role: "user", content: "hi" }],
};
const LOOK_UP: Anthropic.Tool = {
  name: "look_up",
  description: "Looks something up.",
  input_schema: { type: "object", properties: { query: { type: "string" } }, required: ["query"] },
};

function vendorClient(url: string): Anthropic {
  return new Anthropic({ apiKey: "test-key", baseURL: url, maxRetries: 0, logLevel: "off" });
}

test("the vendor's own client reads the stream: text, tool calls, usage, the whole message", async (t) => {
  const usage = {
    input_tokens: 100,
    cache_creation_input_tokens: 30,
    cache_read_input_tokens: 5,
    output_tokens: 9,
  };
  const input = { query: "a long question with “quotes”\nand lines", deep: { list: [1, 2, null] } };
  const server = await scriptedModel(t, [
    {
      text: "Let me look.",
      toolCalls: [
        { name: "look_up", input },
        { name: "look_up", input: {} },
      ],
      usage,
    },
  ]);
  const stream = vendorClient(server.url).messages.stream({ ...HI, tools: [LOOK_UP] });
  const kinds: string[] = [];
  stream.on("streamEvent", (event) => kinds.push(event.type));
  const message = await stream.finalMessage();
  assert.deepEqual(
    message.content.map((block) => (block.type === "tool_use" ? block.input : block.type === "text" && block.text)),
    ["Let me look.", input, {}],
  );
  assert.equal(message.stop_reason, "tool_use");
  for (const [name, count] of Object.entries(usage)) assert.equal(message.usage[name as keyof typeof usage], count);
  assert.deepEqual(
    kinds.filter((kind, index) => kind !== kinds[index - 1]),
    [
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ],
  );
});

test("the vendor's own client reads an answer that is not streamed, and carries a tool's result back", async (t) => {
  const server = await scriptedModel(t, ({ messages }) => {
    const last = messages.at(-1)!.content[0]!;
    if (last.type === "tool_result") return { text: `It says ${String(last.content)}.` };
    return { toolCalls: [{ name: "look_up", input: { query: "x" }, id: "toolu_1" }] };
  });
  const client = vendorClient(server.url);
  const first = await client.messages.create({ ...HI, tools: [LOOK_UP] });
  const second = await client.messages.create({
    ...HI,
    tools: [LOOK_UP],
    messages: [
      ...HI.messages,
      { role: "assistant", content: first.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "42" }] },
    ],
  });
  assert.deepEqual(
    second.content.map((block) => block.type === "text" && block.text),
    ["It says 42."],
  );
  assert.equal(server.paidCalls(), 2);
});

test("the vendor's own client knows each error by its class", async (t) => {
  const faults = [400, 401, 403, 404, 429, 500, 529].map((status): Reply => ({ fault: { status } }));
  const server = await scriptedModel(t, [...faults, { text: "hi", fault: "error" }]);
  const client = vendorClient(server.url);
  const types: unknown[] = [];
  for (const _ of faults) {
    await client.messages.create(HI).catch((error) => types.push(error.status, error.type));
  }
  await client.messages
    .stream(HI)
    .finalMessage()
    .catch((error) => types.push(error.type));
  assert.deepEqual(types, [
    ...[400, "invalid_request_error", 401, "authentication_error", 403, "permission_error", 404, "not_found_error"],
    ...[429, "rate_limit_error", 500, "api_error", 529, "overloaded_error", "overloaded_error"],
  ]);
  assert.equal(server.paidCalls(), 1);
});

test("a key, a version and a known address are required", async (t) => {
  const server = await scriptedModel(t, ["never"]);
  const good = { "x-api-key": "k", "anthropic-version": "2023-06-01", "content-type": "application/json" };
  const ask = async (headers: Record<string, string>, path = "/v1/messages", body = JSON.stringify(HI)) => {
    const response = await fetch(server.url + path, { method: "POST", headers, body });
    const { error } = (await response.json()) as { error: { type: string } };
    return `${response.status} ${error.type}`;
  };
  assert.equal(await ask({ ...good, "x-api-key": "" }), "401 authentication_error");
  assert.equal(await ask({ ...good, "anthropic-version": "" }), "400 invalid_request_error");
  assert.equal(await ask({ ...good, "content-type": "text/plain" }), "400 invalid_request_error");
  assert.equal(await ask(good, "/v1/models"), "404 not_found_error");
  assert.equal(await ask(good, "/v1/messages", "{"), "400 invalid_request_error");
  assert.equal(await ask(good, "/v1/messages", " ".repeat(33 * 1024 * 1024)), "413 request_too_large");
});

const use = (id: string) => ({ type: "tool_use", id, name: "look_up", input: {} });
const result = (id: string) => ({ type: "tool_result", tool_use_id: id, content: "x" });
const user = (...content: unknown[]) => ({ role: "user", content });
const assistant = (...content: unknown[]) => ({ role: "assistant", content });
const words = { type: "text", text: "words" };
const marked = { ...words, cache_control: { type: "ephemeral" } };

const REFUSED: [string, object, RegExp][] = [
  ["an unknown field", { instructions: "be nice" }, /^instructions: Extra inputs are not permitted$/],
  ["an unknown field below", { messages: [{ ...user("x"), name: "Ada" }] }, /Extra inputs|messages\.0/],
  ["no max_tokens", { max_tokens: undefined }, /^max_tokens: Field required$/],
  ["no model", { model: undefined }, /^model: Field required$/],
  ["no messages", { messages: [] }, /^messages/],
  ["an assistant first", { messages: [assistant(words), user(words)] }, /first message must use the "user" role/],
  ["a system message among them", { messages: [{ role: "system", content: "x" }] }, /^messages\.0\.role/],
  ["an empty text", { messages: [user({ type: "text", text: "" })] }, /text content blocks must be non-empty/],
  ["a blank text", { messages: [user({ type: "text", text: " \n" })] }, /non-whitespace/],
  ["no content", { messages: [user()] }, /messages\.0: all messages must have non-empty content/],
  [
    "a tool use without result",
    { messages: [user(words), assistant(use("a")), user(words)] },
    /without `tool_result` blocks immediately after: a/,
  ],
  ["a tool use at the end", { messages: [user(words), assistant(use("a"))] }, /without `tool_result`/],
  [
    "one of two results missing",
    { messages: [user(words), assistant(use("a"), use("b")), user(result("a"))] },
    /immediately after: b/,
  ],
  [
    "a result nobody asked for",
    { messages: [user(result("a"))] },
    /unexpected `tool_use_id` found in `tool_result` blocks: a/,
  ],
  [
    "a result after words",
    { messages: [user(words), assistant(use("a")), user(words, result("a"))] },
    /immediately after: a/,
  ],
  [
    "two results for one",
    { messages: [user(words), assistant(use("a")), user(result("a"), result("a"))] },
    /single result/,
  ],
  [
    "the same id twice",
    { messages: [user(words), assistant(use("a"), use("a")), user(result("a"))] },
    /ids must be unique/,
  ],
  ["a user who calls tools", { messages: [user(use("a"))] }, /only be in `assistant`/],
  ["an input that is no object", { messages: [user(words), assistant({ ...use("a"), input: "x" })] }, /input/],
  [
    "blanks at the very end",
    { messages: [user(words), assistant({ type: "text", text: "so " })] },
    /trailing whitespace/,
  ],
  ["a tool without type object", { tools: [{ name: "x", input_schema: {} }] }, /tools\.0\.input_schema\.type/],
  ["a tool's odd name", { tools: [{ name: "a.b", input_schema: { type: "object" } }] }, /tools\.0\.name/],
  ["an unknown field of a tool", { tools: [{ ...LOOK_UP, parameters: {} }] }, /tools\.0\.parameters: Extra inputs/],
  ["two tools of one name", { tools: [LOOK_UP, LOOK_UP] }, /Tool names must be unique/],
  [
    "five cache marks",
    { messages: [user(marked, marked, marked, marked, marked)] },
    /maximum of 4 blocks with cache_control may be provided. Found 5/,
  ],
];

for (const [what, change, sentence] of REFUSED) {
  test(`refused: ${what}`, () => {
    const checked = checkMessagesBody(JSON.parse(JSON.stringify({ ...HI, ...change })));
    assert.match("problem" in checked ? checked.problem : "taken", sentence);
  });
}

test("neighbours of one role are one message", () => {
  const checked = checkMessagesBody({
    ...HI,
    messages: [user(words), assistant(use("a")), user(result("a")), { role: "user", content: "and more" }],
  });
  assert.ok("messages" in checked);
  assert.equal(checked.messages.length, 3);
});

test("what was marked and seen before is read from the cache, the rest up to the mark is written", async (t) => {
  const server = await scriptedModel(t, ["one", "two", "three"]);
  const client = vendorClient(server.url);
  const system = [{ type: "text" as const, text: "x".repeat(4000), cache_control: { type: "ephemeral" as const } }];
  const counts: number[][] = [];
  for (const content of ["hi", "hi", "another question"]) {
    const { usage } = await client.messages.create({ ...HI, system, messages: [{ role: "user", content }] });
    counts.push([usage.input_tokens, usage.cache_creation_input_tokens!, usage.cache_read_input_tokens!]);
  }
  assert.deepEqual(counts, [
    [7, 1007, 0],
    [7, 0, 1007],
    [11, 0, 1007],
  ]);
});
