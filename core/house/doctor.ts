import { statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Environment } from "../base/environment.ts";
import type { Check } from "../console/options.ts";
import type { Failure } from "../define/run.ts";
import type { Models } from "../models/models.ts";
import type { Secrets } from "../policy/secrets.ts";
import type { Registry } from "../registry/registry.ts";
import type { Database } from "../store/database.ts";
import { readHealth } from "../store/health.ts";

export interface DoctorOptions {
  readonly environment: Environment;
  readonly database: Database;
  readonly models: Models;
  readonly secrets: Secrets;
  readonly registry: Registry;
  /** Agents' files that could not be read. */
  readonly agentProblems: readonly { readonly path: string; readonly problem: Failure }[];
  /** The secret that a source's sender chose and brought, while none is set. */
  readonly offered?: (source: string) => string | undefined;
}

/** Looks at everything that could keep Daimon from doing what it is asked. */
export async function examine(options: DoctorOptions): Promise<Check[]> {
  return [
    ...(await checkDatabase(options.database)),
    ...checkModels(options),
    ...checkCapabilities(options),
    ...checkFiles(options.environment),
  ];
}

async function checkDatabase(database: Database): Promise<Check[]> {
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
        next: "Look into home/postgres/log.",
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

function checkCapabilities({ registry, secrets, offered, environment, agentProblems }: DoctorOptions): Check[] {
  const refused = registry.refused.map(
    ({ name, problem }): Check => ({ name: `capability ${name}`, state: "failed", ...pick(problem) }),
  );
  const sources = registry.installed.flatMap(({ capability }) =>
    (capability.webhooks ?? []).map((webhook): Check => {
      const name = `source ${webhook.source}`;
      const secret = webhook.verify.secret;
      if (secrets.has(secret)) return { name, state: "ok", message: "Its secret is set." };
      return {
        name,
        state: "failed",
        message: `${secret} is not set; every request is answered 503.`,
        next: `Write ${secret}=${offered?.(webhook.source) ?? "…"} into ${environment.envFile} and restart.`,
      };
    }),
  );
  const agents = agentProblems.map(
    ({ path, problem }): Check => ({ name: `agent ${basename(path, ".md")}`, state: "failed", ...pick(problem) }),
  );
  return [...refused, ...agents, ...sources];
}

function checkFiles(environment: Environment): Check[] {
  const file = join(environment.home, ".env");
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0o600;
  if ((mode & 0o077) === 0) return [{ name: "home/.env", state: "ok", message: "Only its owner can read it." }];
  return [
    {
      name: "home/.env",
      state: "failed",
      message: "Others on this machine can read your secrets.",
      next: `chmod 600 ${file}`,
    },
  ];
}

function pick(problem: { message: string; next?: string }): Pick<Check, "message" | "next"> {
  return { message: problem.message, ...(problem.next ? { next: problem.next } : {}) };
}
