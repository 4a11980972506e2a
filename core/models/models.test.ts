import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { systemClock } from "../base/clock.ts";
import { openLog } from "../base/log.ts";
import { defineTool } from "../define/daimon.ts";
import { testDatabase } from "../test/database.ts";
import { scriptedModel, testConfig } from "../test/models.ts";
import { openModels } from "./models.ts";

const save = defineTool({
  name: "save_idea",
  description: "Saves an idea.",
  input: z.object({ title: z.string() }),
  effect: "write",
  run: async () => ({}),
});

test("a call streams its text and gives tool calls, messages, tokens and dollars", async (t) => {
  const { database } = await testDatabase(t);
  const server = await scriptedModel(t, [
    {
      text: "Let me save that.",
      toolCalls: [{ name: "save_idea", input: { title: "A" } }],
      usage: {
        input_tokens: 100,
        cache_creation_input_tokens: 3000,
        cache_read_input_tokens: 500,
        output_tokens: 15,
      },
    },
  ]);
  const models = await openModels({
    config: testConfig(),
    environment: server.environment,
    database,
    log: openLog({}),
    clock: systemClock,
  });
  let streamed = "";
  const answer = await models.call({
    role: "light",
    runId: "run_1",
    step: "ask/model",
    system: "Be brief.",
    messages: [{ role: "user", content: "hi" }],
    tools: [save],
    limits: {},
    onDelta: (d) => {
      streamed += d;
    },
    signal: new AbortController().signal,
  });
  console.log(JSON.stringify(answer, null, 1), server.requests[0]!.body);
  assert.equal(streamed, "Let me save that.");
  assert.equal(answer.usd, (100 * 1 + 3000 * 1.25 + 500 * 0.1 + 15 * 5) / 1e6);
});
