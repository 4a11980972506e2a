import type { Agents } from "../agents/agents.ts";
import type { RegisteredTool } from "../agents/toolbox.ts";
import { unknownName } from "../base/errors.ts";
import type { Schedule, Trigger } from "../define/capability.ts";
import type { Channel } from "../define/channel.ts";
import type { Handler } from "../define/context.ts";
import type { Webhook } from "../define/webhook.ts";
import type { Secrets } from "../policy/secrets.ts";
import type { Registry } from "../registry/registry.ts";
import type { Handlers, RegisteredHandler, RegisteredTrigger } from "../runs/registered.ts";
import { DEFAULT_RETRY } from "../runs/rules.ts";
import type { RegisteredSchedule } from "../schedules/clock.ts";
import type { Source } from "../triggers/check.ts";
import { makeKeyPair } from "../triggers/sign.ts";

/** All that capabilities bring, under the names by which runs, agents and doors find it. */
export interface InstalledParts {
  readonly handlers: ReadonlyMap<string, RegisteredHandler>;
  readonly triggers: readonly RegisteredTrigger[];
  readonly schedules: ReadonlyMap<string, RegisteredSchedule>;
  readonly sources: ReadonlyMap<string, InstalledSource>;
  readonly tools: ReadonlyMap<string, RegisteredTool>;
  readonly channels: ReadonlyMap<string, { channel: Channel; secret: (name: string) => string }>;
}

/** A source whose samples we can sign, even where only its sender has the key. */
export interface InstalledSource extends Source {
  /** The pair that is made when it is first asked for, and dies with this process. */
  readonly sampleKeys: () => ReturnType<typeof makeKeyPair>;
}

/** Names every part of every capability: `trigger:github/issues`, `schedule:competitor-analysis/weekly`. */
export function nameParts(registry: Registry, secrets: Secrets, zone: string): InstalledParts {
  const handlers = new Map<string, RegisteredHandler>();
  const triggers: RegisteredTrigger[] = [];
  const schedules = new Map<string, RegisteredSchedule>();
  const sources = new Map<string, InstalledSource>();
  const tools = new Map<string, RegisteredTool>();
  const channels = new Map<string, { channel: Channel; secret: (name: string) => string }>();
  for (const { capability, version } of registry.installed) {
    const secret = secrets.of(capability);
    for (const trigger of capability.triggers ?? []) {
      const handler = toHandler(`trigger:${capability.name}/${trigger.name}`, trigger, version, secret);
      handlers.set(handler.name, handler);
      triggers.push({ handler: handler.name, on: trigger.on });
    }
    for (const schedule of capability.schedules ?? []) {
      const name = `${capability.name}/${schedule.name}`;
      const handler = toHandler(`schedule:${name}`, schedule, version, secret);
      handlers.set(handler.name, handler);
      schedules.set(name, { name, schedule, zone: schedule.zone ?? zone });
    }
    for (const webhook of capability.webhooks ?? []) {
      sources.set(webhook.source, toSource(webhook, secrets));
    }
    for (const tool of capability.tools ?? []) tools.set(tool.name, { tool, capability: capability.name, secret });
    for (const channel of capability.channels ?? []) channels.set(channel.name, { channel, secret });
  }
  return { handlers, triggers, schedules, sources, tools, channels };
}

/** What can be executed: the parts of capabilities, agents by name, and schedules that were made with words. */
export function createHandlers(parts: InstalledParts, agents: Pick<Agents, "handler" | "schedule">): Handlers {
  return {
    get: (name) => {
      const [kind, rest = ""] = name.split(/:(.*)/);
      if (kind === "agent") return agents.handler(rest);
      // Those of a capability have its name before a slash.
      return (
        parts.handlers.get(name) ?? (kind === "schedule" && !rest.includes("/") ? agents.schedule(rest) : undefined)
      );
    },
    triggers: () => parts.triggers,
  };
}

function toHandler(
  name: string,
  part: Trigger | (Schedule & Pick<Trigger, "priority" | "concurrency" | "debounce" | "rate">),
  version: string,
  secret: (name: string) => string,
): RegisteredHandler {
  return {
    name,
    version,
    retry: part.retry ?? DEFAULT_RETRY,
    limits: part.limits ?? {},
    priority: part.priority ?? 0,
    ...(part.concurrency ? { concurrency: part.concurrency } : {}),
    ...(part.debounce ? { debounce: part.debounce } : {}),
    ...(part.rate ? { rate: part.rate } : {}),
    secret,
    run: part.run as Handler<never>,
  };
}

function toSource(webhook: Webhook, secrets: Secrets): InstalledSource {
  let pair: ReturnType<typeof makeKeyPair>;
  return {
    webhook,
    secrets: (name = webhook.verify.secret) => valuesOf(secrets, name),
    sampleKey: () => pair?.publicKey,
    sampleKeys: () => {
      pair ??= makeKeyPair(webhook.verify);
      return pair;
    },
  };
}

/** A secret's values: the current one and, while it is rotated, the one before, comma-separated. */
function valuesOf(secrets: Secrets, name: string): string[] {
  if (!secrets.has(name)) return [];
  return secrets
    .value(name)
    .split(",")
    .map((value) => value.trim())
    .filter(Boolean);
}

/** The trigger `capability/name` as a handler. Throws `trigger.missing`. */
export function findTrigger(parts: InstalledParts, name: string): RegisteredHandler {
  const handler = parts.handlers.get(`trigger:${name}`);
  if (handler) return handler;
  const known = [...parts.handlers.keys()].filter((key) => key.startsWith("trigger:")).map((key) => key.slice(8));
  throw unknownName("trigger.missing", `trigger "${name}"`, known);
}
