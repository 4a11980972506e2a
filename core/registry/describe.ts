import { basename } from "node:path";
import type { Schedule, Secret, Trigger } from "../define/capability.ts";
import type { Effect } from "../define/tool.ts";
import { agentNames } from "./load.ts";
import type { Installed } from "./registry.ts";

/** What a capability can do, as plain JSON: to be shown before it is let in, and afterwards. */
export interface Description {
  readonly name: string;
  readonly description: string;
  readonly webhooks: readonly { source: string; description?: string; secret: string; setup?: string }[];
  readonly triggers: readonly Pick<Trigger, "name" | "description" | "on">[];
  readonly schedules: readonly Pick<Schedule, "name" | "description" | "cron" | "zone">[];
  readonly tools: readonly { name: string; description: string; effect: Effect; approval: boolean }[];
  readonly channels: readonly { name: string; description?: string }[];
  readonly secrets: readonly Secret[];
  /** Hosts. */
  readonly egress: readonly string[];
  readonly agents: readonly string[];
  readonly samples: readonly { source: string; type: string; file: string }[];
}

export function describe(installed: Installed): Description {
  const { capability } = installed;
  const told = <Item extends { description?: string }>({ description }: Item) =>
    description ? { description } : {};
  return {
    name: capability.name,
    description: capability.description,
    webhooks: (capability.webhooks ?? []).map((webhook) => ({
      source: webhook.source,
      ...told(webhook),
      secret: webhook.verify.secret,
      ...(webhook.setup ? { setup: webhook.setup } : {}),
    })),
    triggers: (capability.triggers ?? []).map((trigger) => ({
      name: trigger.name,
      ...told(trigger),
      on: trigger.on,
    })),
    schedules: (capability.schedules ?? []).map(({ name, cron, zone, ...schedule }) => ({
      name,
      ...told(schedule),
      cron,
      ...(zone ? { zone } : {}),
    })),
    tools: (capability.tools ?? []).map(({ name, description, effect, approval = false }) => ({
      name,
      description,
      effect,
      approval,
    })),
    channels: (capability.channels ?? []).map((channel) => ({ name: channel.name, ...told(channel) })),
    secrets: capability.secrets ?? [],
    egress: capability.egress ?? [],
    agents: agentNames(installed),
    samples: installed.samples.map((sample) => ({ ...sample, file: basename(sample.file) })),
  };
}
