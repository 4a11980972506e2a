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

const ok = (name: string, message: string): Check => ({ name, state: "ok", message });
const warning = (name: string, message: string, next: string): Check => ({ name, state: "warning", message, next });
const failed = (name: string, { message, next }: { message: string; next?: string }): Check => ({
  ...{ name, state: "failed", message },
  ...(next ? { next } : {}),
});

async function checkDatabase({ database, environment: { databaseUrl, home } }: DoctorOptions): Promise<Check[]> {
  try {
    const { version, failed } = await readHealth(database);
    const answers = ok("database", `PostgreSQL ${version} answers.`);
    if (failed === 0) return [answers];
    return [answers, warning("runs", `${failed} runs failed in the last day.`, "daimon runs list --status failed")];
  } catch (error) {
    const next = databaseUrl ? "Does the server of DATABASE_URL run?" : `Look into ${join(home, "postgres/log")}.`;
    return [failed("database", { message: `The database does not answer: ${error}.`, next })];
  }
}

function checkModels({ models, environment }: DoctorOptions): Check[] {
  return models.list().map(({ role, provider, model, demo, problem }) => {
    const name = `model ${role}`;
    if (problem) return failed(name, problem);
    if (!demo) return ok(name, `${provider} ${model}`);
    const next = `Write ANTHROPIC_API_KEY=… into ${environment.envFile} and restart.`;
    return warning(name, "The demo answers, no model.", next);
  });
}

async function checkCapabilities(options: DoctorOptions): Promise<Check[]> {
  const { registry, secrets, offered, database, config, clock, environment } = options;
  const refused = registry.refused.map(({ name, problem }) => failed(`capability ${name}`, problem));
  const webhooks = registry.installed.flatMap(({ capability }) => capability.webhooks ?? []);
  // A database that is away has been told of already.
  const lasts = await lastArrivals(
    database,
    webhooks.map(({ source }) => source),
  ).catch(() => []);
  const sources = webhooks.map((webhook, place) => {
    const name = `source ${webhook.source}`;
    const secret = webhook.verify.secret;
    if (!secrets.has(secret)) {
      const next = `Write ${secret}=${offered?.(webhook.source) ?? "…"} into ${environment.envFile} and restart.`;
      return failed(name, { message: `${secret} is not set; every request is answered 503.`, next });
    }
    const last = lasts[place];
    const seen = last
      ? `Its last event came ${durationInWords(clock.now().getTime() - last.getTime())} ago`
      : "No event yet";
    const every = expectedEvery(webhook, config);
    return ok(name, `Its secret is set. ${seen}${every ? `; expected every ${every}` : ""}.`);
  });
  const unknown = Object.keys(config.sources ?? {}).filter((name) => !webhooks.some(({ source }) => source === name));
  const why = (name: string) => `daimon.config.ts names the source "${name}", which no installed capability has.`;
  const unwatched = unknown.map((name) => warning(`source ${name}`, why(name), "daimon list"));
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
      return lost.length === 0 ? [] : [warning(`agent ${agent.name}`, message, next)];
    }),
  );
}

/** Nothing when none is open. */
async function checkIssues(database: Database): Promise<Check[]> {
  const open = await listIssues(database, { status: "open", limit: 1 }).catch(() => null);
  const [first] = open?.items ?? [];
  if (!first) return [];
  const message = open?.next ? `Issues are open; the newest: ${first.title}` : `An issue is open: ${first.title}`;
  return [warning("issues", message, "daimon issues list --status open")];
}

function checkFiles(environment: Environment): Check[] {
  const file = join(environment.home, ".env");
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0o600;
  if ((mode & 0o077) === 0) return [ok(".env", `Only its owner can read ${file}.`)];
  return [failed(".env", { message: `Others on this machine can read ${file}.`, next: `chmod 600 ${file}` })];
}
