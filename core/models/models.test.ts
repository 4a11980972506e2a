import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../define/config.ts";
import { ask, failure, scriptedModels, testModels } from "../test/calls.ts";
import { scriptedModel } from "../test/models.ts";
import { loadLibrary } from "./call.ts";

test("a model's name in place of a model is refused: it would go to the library maker's gateway", async () => {
  const { streamText } = await loadLibrary();
  const result = async () => await streamText({ model: "gpt-5", prompt: "hi", onError: () => {} }).text;
  await assert.rejects(result, /Models are objects here/);
});

test("warming up finds what is wrong before the first call", async (t) => {
  const light = { provider: "anthropic", model: "my-model" } as const;
  const { models } = await testModels(t, {
    config: { models: { light, heavy: light } },
    values: { ANTHROPIC_API_KEY: "k" },
  });
  assert.equal(models.list()[0]!.problem, undefined);
  await models.warm();
  assert.equal(models.list()[0]!.problem?.code, "price.unknown");
});

test("without any key the demo answers over HTTP, marked, at a tenth of a small price", async (t) => {
  const { models, spend } = await testModels(t);
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
  const one = await testModels(t, { config: { models: both }, values: { ANTHROPIC_API_KEY: "sk-1" } });
  const missing = await failure(one.models.call(ask({ role: "heavy" })));
  assert.equal(missing.code, "model-key.missing");
  assert.match(missing.message, /OPENAI_API_KEY is not set/);
  assert.match(missing.next!, /Put OPENAI_API_KEY=… in .*\.env and start again/);
  assert.equal(one.models.list()[1]!.problem?.code, "model-key.missing");

  const odd = await testModels(t, { values: { ANTHROPIC_API_KEY: "sk-…" } });
  assert.equal((await failure(odd.models.call(ask()))).code, "model-key.wrong");

  const server = await scriptedModel(t, [{ fault: { status: 401, message: "invalid x-api-key" } }, "hi"]);
  const wrong = await testModels(t, { values: server.values });
  const error = await failure(wrong.models.call(ask()));
  assert.match(error.message, /does not take the key in ANTHROPIC_API_KEY \(401: invalid x-api-key\)/);
  assert.match(error.next!, /ANTHROPIC_API_KEY=….*start again/);
  assert.equal(wrong.models.list()[0]!.problem?.code, "model-key.wrong");
  await wrong.models.call(ask());
  assert.equal(wrong.models.list()[0]!.problem, undefined);
});

test("an address of its own without a key is asked without one; when it wants one, that is said", async (t) => {
  const server = await scriptedModel(t, ["hi", { fault: { status: 401, message: "who are you" } }]);
  const { models } = await testModels(t, { values: { ANTHROPIC_BASE_URL: server.url } });
  assert.equal((await models.call(ask())).detail.demo, false);
  assert.equal((await failure(models.call(ask()))).code, "model-key.missing");
});

test("a price that nobody knows is refused before anything is sent, unless the config says it", async (t) => {
  const odd = { provider: "anthropic", model: "my-model" } as const;
  const models = { light: odd, heavy: { ...odd, price: { input: 2, output: 4 } } };
  const { models: opened, server } = await scriptedModels(
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
  const { models } = await testModels(t);
  const error = await failure(models.call(ask({ role: "giant" })));
  assert.equal(error.code, "model.unknown");
  assert.match(error.next!, /light, heavy/);
});
