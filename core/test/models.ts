import { tmpdir } from "node:os";
import type { TestContext } from "node:test";
import type { Environment } from "../base/environment.ts";
import type { Config } from "../define/config.ts";
import { type Brain, type ModelServer, type Reply, startModelServer } from "../models/demo/server.ts";

/** A script: what to answer to the first request, the second, …; or a function of the request. */
export type Script = readonly (Reply | string)[] | Brain;

export interface ScriptedModel extends ModelServer {
  /** The environment's values that lead every Anthropic client to this server. */
  readonly values: { ANTHROPIC_BASE_URL: string; ANTHROPIC_API_KEY: string };
  /** Ready for `openModels`. */
  readonly environment: Environment;
}

/** A model server that plays `script`, stopped after the test. A request past the script's end is a 400. */
export async function scriptedModel(
  t: TestContext | { after(code: () => Promise<void>): void },
  script: Script,
): Promise<ScriptedModel> {
  const server = await startModelServer({ brain: typeof script === "function" ? script : play(script) });
  t.after(() => server.stop());
  const values = { ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: "test-key" };
  return { ...server, values, environment: testEnvironment(values) };
}

/** An environment with these values and nothing of this machine's. */
export function testEnvironment(values: Record<string, string> = {}): Environment {
  return {
    home: `${tmpdir()}/daimon-test-home`,
    envFile: `${tmpdir()}/daimon-test-home/.env`,
    capabilities: `${tmpdir()}/daimon-test-capabilities`,
    databaseUrl: undefined,
    port: 0,
    host: "127.0.0.1",
    values,
  };
}

/** A config with both roles on Anthropic, and room to spend. */
export function testConfig(more: Partial<Config> = {}): Config {
  return {
    owner: { name: "Tester", zone: "Europe/Berlin" },
    models: {
      light: { provider: "anthropic", model: "claude-haiku-4-5" },
      heavy: { provider: "anthropic", model: "claude-sonnet-5" },
    },
    limits: { run: { turns: 20, usd: 10, minutes: 15 }, dayUsd: 100, monthUsd: 1000 },
    ...more,
  };
}

function play(replies: readonly (Reply | string)[]): Brain {
  return ({ index }) => {
    const reply = replies[index];
    if (reply === undefined) throw new Error(`the script has ${replies.length} replies, this is request ${index + 1}`);
    return typeof reply === "string" ? { text: reply } : reply;
  };
}
