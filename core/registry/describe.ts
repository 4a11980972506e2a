import { existsSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import type { Installed } from "./registry.ts";

/** What a capability can do, as plain JSON: to be shown before it is let in, and afterwards. */
export type Description = ReturnType<typeof describe>;

/** The folders of `skills/`; none once it was removed. */
export const skillNames = ({ skillFolder }: Pick<Installed, "skillFolder">): string[] =>
  (skillFolder && existsSync(skillFolder) ? readdirSync(skillFolder, { withFileTypes: true }) : [])
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

export function describe(installed: Installed) {
  const { name, description, ...parts } = installed.capability;
  const { webhooks = [], triggers = [], schedules = [], tools = [], channels = [] } = parts;
  return {
    name,
    description,
    webhooks: webhooks.map(({ source, description, setup, verify }) => ({
      ...{ source, description, setup, secret: verify.secret },
    })),
    triggers: triggers.map(({ name, description, on }) => ({ name, description, on })),
    schedules: schedules.map(({ name, description, cron, zone }) => ({ name, description, cron, zone })),
    tools: tools.map(({ name, description, effect, approval = false }) => ({
      ...{ name, description, effect, approval },
    })),
    channels: channels.map(({ name, description }) => ({ name, description })),
    secrets: parts.secrets ?? [],
    /** Hosts. */
    egress: parts.egress ?? [],
    agents: installed.agents.map((agent) => agent.name),
    skills: skillNames(installed),
    samples: installed.samples.map((sample) => ({ ...sample, file: basename(sample.file) })),
  };
}
