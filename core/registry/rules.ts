import { z } from "zod";
import { nextTime } from "../base/cron.ts";
import { parseDuration } from "../base/durations.ts";
import type { Environment } from "../base/environment.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Capability, Schedule, Secret } from "../define/capability.ts";
import type { Tool } from "../define/tool.ts";
import { secretsOf } from "../define/webhook.ts";

/** Refuses what no single field shows. `now` is what a cron is tried against. */
export function checkCapability(capability: Capability, now: Date): void {
  for (const [kind, names] of Object.entries(namesOf(capability))) {
    const twice = names.find((name, place) => names.indexOf(name) !== place);
    if (twice !== undefined) throw refuse("taken", `${kind} ${twice} stands there twice.`);
  }
  for (const webhook of capability.webhooks ?? []) {
    if (webhook.rate && webhook.once) {
      const lost = "its sender does not send again what it was refused, so a rate would lose events";
      throw refuse("rate", `webhook ${webhook.source}: ${lost}.`, "Let a trigger's `rate` make the runs wait.");
    }
    const missing = secretsOf(webhook).find((name) => !capability.secrets?.some((secret) => secret.name === name));
    if (missing === undefined) continue;
    throw refuse(
      "secret",
      `webhook ${webhook.source}: its secret ${missing} is not among the declared secrets.`,
      `Add it to \`secrets\`, with \`generate: true\` when it is ours to choose.`,
    );
  }
  for (const { name } of capability.secrets ?? []) {
    if (/^(PATH|HOME|HOST|PORT|DATABASE_URL)$|^(NODE|NPM|DAIMON|GIT|LD|PG)_/.test(name)) {
      throw refuse("secret", `secret ${name}: this name belongs to the system.`, "Choose another name.");
    }
  }
  for (const schedule of capability.schedules ?? []) checkCron(schedule, now);
  for (const tool of capability.tools ?? []) checkInput(tool);
}

function checkCron({ name, cron, zone = "UTC", window = "0s", jitter = "0s" }: Schedule, now: Date): void {
  const place = `schedule ${name}:`;
  let next: Date | null;
  try {
    for (const duration of [window, jitter]) parseDuration(duration);
    next = nextTime(cron, zone, now);
  } catch (error) {
    const { code, message, next } = toFailure(error);
    throw new DaimonError(code, `${place} ${message}`, next);
  }
  const hint = "See whether its day and its month go together.";
  if (!next) throw new DaimonError("cron.never", `${place} "${cron}" names no time that ever comes.`, hint);
}

function checkInput(tool: Tool<never>): void {
  let problem = "it is not an object";
  try {
    if (z.toJSONSchema(tool.input, { io: "input" }).type === "object") return;
  } catch (error) {
    problem = toFailure(error).message;
  }
  const next = "Describe it with z.object({ … }) of texts, numbers, booleans, lists and objects.";
  throw refuse("shape", `tool ${tool.name}: its input cannot be told to a model: ${problem}.`, next);
}

/** Refuses a folder whose capability goes by another name. */
export function checkName({ name }: Capability, folder: string): void {
  const message = `It calls itself "${name}", but its folder is "${folder}".`;
  if (name !== folder) throw refuse("name", message, "Give both the same name.");
}

/** What core itself goes by. A tool's name may also not begin with `hub_`. */
const RESERVED: Readonly<Record<string, readonly string[]>> = {
  webhook: ["schedule", "chat", "daimon"],
  tool: ["list_events", "run_trigger", "skill_read", "create_schedule", "list_schedules", "delete_schedule"],
  channel: ["web", "cli"],
  agent: ["default"],
};
/** Kinds whose names are looked up in the whole system; triggers and schedules go by `capability/name`. */
const SHARED = ["webhook", "tool", "channel", "agent"];

/** What names are read from: a capability, or its description. */
type Named = { readonly name: string; readonly webhooks?: readonly { source: string }[] } & {
  readonly agents?: readonly string[];
} & Partial<Record<"triggers" | "schedules" | "tools" | "channels" | "secrets", readonly { name: string }[]>>;

/**
 * Enters a capability's names into `taken` (kind and name → who has it), for good, even when it is refused later for
 * something else. Throws `capability.taken` when one is another's.
 */
export function claimNames(named: Named, taken: Map<string, string>): void {
  const names: Readonly<Record<string, readonly string[]>> = namesOf(named);
  const wanted = SHARED.flatMap((kind) => names[kind]!.map((name) => ({ kind, name })));
  for (const { kind, name } of wanted) {
    const core = RESERVED[kind]?.includes(name) || (kind === "tool" && name.startsWith("hub_"));
    const owner = core ? "Daimon itself" : taken.get(`${kind} ${name}`);
    if (owner) throw refuse("taken", `${kind} ${name}: ${owner} has this name.`, "Give it another name.");
  }
  for (const { kind, name } of wanted) taken.set(`${kind} ${name}`, named.name);
}

/** Refuses when a secret that must be given from outside is not. */
export function checkSecrets(
  secrets: readonly Secret[],
  { values, envFile }: Pick<Environment, "values" | "envFile">,
): void {
  const missing = secrets.filter((secret) => !values[secret.name] && !secret.generate && secret.required !== false);
  if (missing.length === 0) return;
  throw new DaimonError(
    "secret.missing",
    missing.map((secret) => `secret ${secret.name} is missing: ${endSentence(secret.description)}`).join(" "),
    `Write the ${missing.length === 1 ? "line" : "lines"} ${missing.map((secret) => `${secret.name}=…`).join(" and ")} into ${envFile}, then try again.`,
  );
}

const namesOf = (named: Named) => ({
  webhook: named.webhooks?.map((webhook) => webhook.source) ?? [],
  trigger: list(named.triggers),
  schedule: list(named.schedules),
  tool: list(named.tools),
  channel: list(named.channels),
  secret: list(named.secrets),
  agent: named.agents ?? [],
});
const list = (items: readonly { name: string }[] = []) => items.map((item) => item.name);

const endSentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);
const refuse = (code: string, message: string, next?: string) => new DaimonError(`capability.${code}`, message, next);
