import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, failure, HI, saved, scriptedModels, testModels } from "../test/calls.ts";
import { scriptedModel } from "../test/models.ts";
import type { Reply } from "./demo/server.ts";

const FULL = "in full";
const FAULTS: [string, Reply, string, typeof FULL | 0][] = [
  ["a wrong key", { fault: { status: 401, message: "invalid x-api-key" } }, "model-key.wrong", 0],
  ["a key that may not", { fault: { status: 403 } }, "model.denied", 0],
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
    const { models, spend } = await testModels(t, {
      values: server.values,
      ...(reply.fault === "silence" ? { patience: { silence: 400, whole: 5000 } } : {}),
    });
    const error = await failure(models.call(ask()));
    assert.equal(error.code, code);
    assert.equal(error.retryAfter, what === "a rate limit" ? 1 : undefined);
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
  const { models, server } = await scriptedModels(t, [broken, { toolCalls: [{ name: "nothing", input: {} }] }, "ok"]);
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
  const { models, spend } = await testModels(t, { values: gone.values });
  const error = await failure(models.call(ask()));
  assert.equal(error.code, "model.unreachable");
  assert.match(error.message, new RegExp(`Nothing answers at ${new URL(gone.url).host}`));
  assert.equal((await spend("run:run_1")).spentUsd, 0);
});
