import { statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { durationInWords } from "../base/durations.ts";
import type { Environment } from "../base/environment.ts";
import type { Check } from "../console/options.ts";
import { type Config, expectedEvery } from "../define/config.ts";
import type { Models } from "../models/models.ts";
import type { Secrets } from "../policy/secrets.ts";
import type { Registry } from "../registry/registry.ts";
import type { Database } from "../store/database.ts";
import { readHealth } from "../store/health.ts";
import { lastArrivals } from "../store/issues.ts";
import { listIssues } from "../store/views/issues.ts";

export interface DoctorOptions {
  readonly environment: Environment;
  readonly database: Database;
  readonly models: Models;
  readonly secrets: Secrets;
  readonly registry: Registry;
  /** By their names. */
  readonly tools: ReadonlyMap<string, unknown>;
  readonly config: Config;
  readonly clock: Pick<Clock, "now">;
  /** The secret that a source's sender chose and brought, while none is set. */
  readonly offered?: (source: string) => string | undefined;
}

/** Looks at everything that could keep Daimon from doing what it is asked. */
export async function examine(options: DoctorOptions): Promise<Check[]> {
  return [
    ...(await checkDatabase(options)),
    ...checkModels(options),
    ...(await checkCapabilities(options)),
    ...checkAgents(options),
    ...(await checkIssues(options.database)),
    ...checkFiles(options.environment),
  ];
}

async function checkDatabase({ database, environment: { databaseUrl, home } }: DoctorOptions): Promise<Check[]> {
  try {
    const { version, failed } = await readHealth(database);
    const checks: Check[] = [{ name: "database", state: "ok", message: `PostgreSQL ${version} answers.` }];
    if (failed > 0) {
      checks.push({
        name: "runs",
        state: "warning",
        message: `${failed} runs failed in the last day.`,
        next: "daimon runs list --status failed",
      });
    }
    return checks;
  } catch (error) {
    return [
      {
        name: "database",
        state: "failed",
        message: `The database does not answer: ${error}.`,
        next: databaseUrl ? "Does the server of DATABASE_URL run?" : `Look into ${join(home, "postgres/log")}.`,
      },
    ];
  }
}

function checkModels({ models, environment }: DoctorOptions): Check[] {
  return models.list().map((model) => {
    const name = `model ${model.role}`;
    if (model.problem) return { name, state: "failed", ...pick(model.problem) };
    if (model.demo) {
      return {
        name,
        state: "warning",
        message: "The demo answers, no model.",
        next: `Write ANTHROPIC_API_KEY=… into ${environment.envFile} and restart.`,
      };
    }
    return { name, state: "ok", message: `${model.provider} ${model.model}` };
  });
}

async function checkCapabilities(options: DoctorOptions): Promise<Check[]> {
  const { registry, secrets, offered, database, config, clock, environment } = options;
  const refused = registry.refused.map(
    ({ name, problem }): Check => ({ name: `capability ${name}`, state: "failed", ...pick(problem) }),
  );
  const webhooks = registry.installed.flatMap(({ capability }) => capability.webhooks ?? []);
  // A database that is away has been told of already.
  const lasts = await lastArrivals(
    database,
    webhooks.map(({ source }) => source),
  ).catch(() => []);
  const sources = webhooks.map((webhook, place): Check => {
    const name = `source ${webhook.source}`;
    const secret = webhook.verify.secret;
    if (!secrets.has(secret)) {
      return {
        name,
        state: "failed",
        message: `${secret} is not set; every request is answered 503.`,
        next: `Write ${secret}=${offered?.(webhook.source) ?? "…"} into ${environment.envFile} and restart.`,
      };
    }
    const last = lasts[place];
    const seen = last
      ? `Its last event came ${durationInWords(clock.now().getTime() - last.getTime())} ago`
      : "No event yet";
    const every = expectedEvery(webhook, config);
    return { name, state: "ok", message: `Its secret is set. ${seen}${every ? `; expected every ${every}` : ""}.` };
  });
  const unknown = Object.keys(config.sources ?? {}).filter((name) => !webhooks.some(({ source }) => source === name));
  const unwatched = unknown.map((name): Check => {
    const message = `daimon.config.ts names the source "${name}", which no installed capability has.`;
    return { name: `source ${name}`, state: "warning", message, next: "daimon list" };
  });
  return [...refused, ...sources, ...unwatched];
}

/** An agent does without a tool that is not there, and says nothing of it. */
function checkAgents({ registry, config, tools }: DoctorOptions): Check[] {
  return registry.installed.flatMap(({ capability, agents }) =>
    agents.flatMap((agent): Check[] => {
      const lost = agent.tools.filter((tool) => tool !== "*" && !tools.has(tool)).map((tool) => `the tool ${tool}`);
      if (!Object.hasOwn(config.models, agent.model)) lost.unshift(`the model role ${agent.model}`);
      const message = `It asks for ${lost.join(" and ")}: nothing has that name.`;
      const next = `Look into agents/${agent.name}.md of ${capability.name}.`;
      return lost.length === 0 ? [] : [{ name: `agent ${agent.name}`, state: "warning", message, next }];
    }),
  );
}

/** Nothing when none is open. */
async function checkIssues(database: Database): Promise<Check[]> {
  const open = await listIssues(database, { status: "open", limit: 1 }).catch(() => null);
  const [first] = open?.items ?? [];
  if (!first) return [];
  const message = open?.next ? `Issues are open; the newest: ${first.title}` : `An issue is open: ${first.title}`;
  return [{ name: "issues", state: "warning", message, next: "daimon issues list --status open" }];
}

function checkFiles(environment: Environment): Check[] {
  const file = join(environment.home, ".env");
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0o600;
  if ((mode & 0o077) === 0) return [{ name: ".env", state: "ok", message: `Only its owner can read ${file}.` }];
  return [
    {
      name: ".env",
      state: "failed",
      message: `Others on this machine can read ${file}.`,
      next: `chmod 600 ${file}`,
    },
  ];
}

function pick(problem: { message: string; next?: string }): Pick<Check, "message" | "next"> {
  return { message: problem.message, ...(problem.next ? { next: problem.next } : {}) };
}
