/** Calls of models: what is asked, and the models that answer. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { z } from "zod";
import { type Clock, systemClock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import { openLog } from "../base/log.ts";
import type { Config } from "../define/config.ts";
import { defineTool } from "../define/daimon.ts";
import type { Patience } from "../models/call.ts";
import { type ModelMessage, type ModelRequest, openModels } from "../models/models.ts";
import { readSpend } from "../store/spend.ts";
import { testDatabase } from "./database.ts";
import { type Script, scriptedModel, testConfig, testEnvironment } from "./models.ts";

const NOW = new Date("2026-11-22T23:30:00Z"); // the 23rd in Berlin
const clock: Clock = { ...systemClock, now: () => NOW };

const saveIdea = defineTool({
  name: "save_idea",
  description: "Saves an idea.",
  input: z.object({ title: z.string(), tags: z.array(z.string()).default([]) }),
  effect: "write",
  run: async () => ({}),
});

/** What is asked of a model, with a tool to save ideas. */
export function ask(more: Partial<ModelRequest> = {}): ModelRequest {
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
export async function testModels(
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

/** The same, on a server that plays a script. */
export async function scriptedModels(t: TestContext, script: Script, config: Partial<Config> = {}) {
  const server = await scriptedModel(t, script);
  return { server, ...(await testModels(t, { config, values: server.values })) };
}

/** The error of ours with which it fails. */
export async function failure(promise: Promise<unknown>): Promise<DaimonError> {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof DaimonError, String(error));
  return error;
}

export const HI: ModelMessage = { role: "user", content: "hi" };

/** What the tool `save_idea` came to. */
export function saved(toolCallId: string, output: { type: "text" | "error-text"; value: string }): ModelMessage {
  return { role: "tool", content: [{ type: "tool-result", toolCallId, toolName: "save_idea", output }] };
}
