import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { nextTime } from "../base/cron.ts";
import type { Environment } from "../base/environment.ts";
import { DaimonError, unknownName } from "../base/errors.ts";
import type { Secret } from "../define/capability.ts";
import { createSecrets, forgetSecrets } from "../policy/secrets.ts";
import type { Description } from "./describe.ts";
import { inspect } from "./inspect.ts";
import { loadCapabilities } from "./load.ts";
import { checkSecrets, claimNames } from "./rules.ts";
import { stage } from "./stage.ts";

/** What `daimon add` would do, to be shown before it is done. */
export interface Plan extends Omit<Description, "secrets" | "schedules"> {
  /** As it was given: a name of the catalog, a path, or a URL. */
  readonly from: string;
  /** Where it will stand. */
  readonly folder: string;
  /** Where senders post to. */
  readonly addresses: readonly { source: string; url: string }[];
  readonly schedules: readonly (Description["schedules"][number] & { next: Date | null })[];
  /** `missing` ones must stand in the home's .env before it can be installed; `optional` ones may. */
  readonly secrets: readonly (Secret & { state: "set" | "generated" | "missing" | "optional" })[];
  readonly files: readonly { path: string; bytes: number }[];
  /** The checked copy that waits beside the installed capabilities. */
  readonly staged: string;
  /** Forgets the plan and its copy. */
  discard(): Promise<void>;
}

/**
 * Copies a capability beside the installed ones and checks it there, apart from everything, running nothing of it in
 * this process. `base` is the address that the world reaches us under. Throws `add.*`, and what refuses a capability.
 */
export async function planCapability(
  from: string,
  environment: Environment,
  options: { base?: string | undefined; zone?: string; now?: Date } = {},
): Promise<Plan> {
  const { base = `http://${environment.host}:${environment.port}`, zone = "UTC", now = new Date() } = options;
  const { folder: staged, files, discard } = await stage(from, environment);
  try {
    const description = await inspect(staged);
    const folder = join(environment.capabilities, description.name);
    if (existsSync(folder)) {
      const next = `To replace it: daimon remove ${description.name}, then add it again.`;
      throw new DaimonError("add.installed", `${description.name} is installed already.`, next);
    }
    const { taken } = await loadCapabilities(environment.capabilities, environment, now);
    claimNames(description, new Map(taken));
    return {
      ...description,
      ...{ from, folder, staged, files, discard },
      addresses: description.webhooks.map(({ source }) => ({ source, url: new URL(`/hooks/${source}`, base).href })),
      schedules: description.schedules.map((schedule) => ({
        ...schedule,
        next: nextTime(schedule.cron, schedule.zone ?? zone, now),
      })),
      secrets: description.secrets.map((secret) => ({ ...secret, state: stateOf(secret, environment) })),
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

function stateOf(secret: Secret, { values }: Environment) {
  if (values[secret.name]) return "set";
  if (secret.generate) return "generated";
  return secret.required === false ? "optional" : "missing";
}

/**
 * Does what the plan says: the checked copy becomes the capability in one rename, and the secrets that are ours to
 * choose are made. It runs after the next start. Returns the names of the secrets made. Throws `secret.missing`.
 */
export async function installCapability(plan: Plan, environment: Environment): Promise<{ secrets: string[] }> {
  checkSecrets(plan.secrets, environment);
  await rename(plan.staged, plan.folder);
  await plan.discard();
  return { secrets: await createSecrets(environment).generate(plan.secrets) };
}

/**
 * Takes a capability away: its folder, and the secrets that were made for it and that no other declares. What it did
 * (events, runs, notes in the hub) stays. Returns the names of the secrets removed. Throws `capability.unknown`.
 */
export async function removeCapability(
  name: string,
  environment: Environment,
): Promise<{ folder: string; secrets: string[] }> {
  const { installed, refused } = await loadCapabilities(environment.capabilities, environment);
  const names = [...installed.map(({ capability }) => capability.name), ...refused.map((other) => other.name)];
  if (!names.includes(name)) {
    throw unknownName("capability.unknown", `installed capability "${name}"`, names);
  }
  const folder = join(environment.capabilities, name);
  const others = [...installed, ...refused].filter((other) => other.folder !== folder);
  const [own = [], ...kept] = await Promise.all([
    declaredIn(folder),
    ...others.map((other) => ("capability" in other ? other.capability.secrets : declaredIn(other.folder))),
  ]);
  const away = join(environment.capabilities, `.removing-${name}-${process.pid}`);
  await rename(folder, away);
  await rm(away, { recursive: true, force: true });
  const needed = new Set(kept.flatMap((secrets) => secrets?.map((secret) => secret.name) ?? []));
  const orphans = own.filter((secret) => secret.generate && !needed.has(secret.name));
  const secrets = await forgetSecrets(
    environment.home,
    orphans.map((secret) => secret.name),
  );
  return { folder, secrets };
}

/** The secrets of a capability that is refused, or of one that goes; none when it cannot be read. */
const declaredIn = (folder: string): Promise<readonly Secret[]> =>
  inspect(folder).then(
    (description) => description.secrets,
    () => [],
  );
