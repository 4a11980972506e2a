import { basename } from "node:path";
import { z } from "zod";
import { expectedEvery } from "../../define/config.ts";
import type { Failure } from "../../define/run.ts";
import { skillNames } from "../../registry/describe.ts";
import type { Installed, Refused } from "../../registry/registry.ts";
import { lastArrivals } from "../../store/issues.ts";
import { type Api, ownOrigin } from "../auth.ts";
import { readBody, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const FIELDS = z.record(z.string(), z.unknown());
const ASCII = text(200).regex(/^[ -~]+$/, "must be of ASCII");
const SAMPLE = z.strictObject({
  source: text(200).min(1, "must not be empty"),
  type: ASCII.optional(),
  times: z.number().int().min(1).max(1000).optional(),
  badSignature: z.boolean().optional(),
  stale: z.boolean().optional(),
  duplicate: z.boolean().optional(),
  data: z.union([FIELDS, z.array(FIELDS)], "must be an object, or a list of objects").optional(),
});

type Shown = Pick<Installed, "capability" | "agents" | "skillFolder">;

/** What is installed: capabilities, agents, recorded payloads. */
export function capabilityRoutes(api: Api, options: ConsoleOptions): void {
  api.get("/capabilities", async (context) => {
    const base = options.config.publicUrl?.replace(/\/+$/, "") ?? ownOrigin(context, options)!;
    const { installed, refused } = options.capabilities();
    const sources = installed.flatMap(({ capability }) => (capability.webhooks ?? []).map(({ source }) => source));
    const lasts = await lastArrivals(options.database, sources);
    const view = { ...options, base, lastOf: new Map(sources.map((source, place) => [source, lasts[place]!])) };
    const items = [
      ...installed.map((one) => toItem(one, view, null)),
      ...refused.map((one) => toItem(unread(one), view, one.problem)),
    ];
    return context.json({ items, next: null });
  });

  api.get("/agents", (context) =>
    context.json({
      items: options
        .agents()
        .map(({ name, description, model, tools, limits }) => ({ name, description, model, tools, limits })),
      next: null,
    }),
  );

  api.get("/samples", (context) => {
    const samples = options.capabilities().installed.flatMap((one) => one.samples);
    return context.json({
      items: samples.map(({ source, type, file }) => ({ source, type, file: basename(file) })),
      next: null,
    });
  });

  api.post("/samples", async (context) => {
    const deliveries = await options.actions.sendSamples(await readBody(context, SAMPLE));
    return context.json({ deliveries });
  });
}

interface View extends Pick<ConsoleOptions, "hasSecret" | "config"> {
  readonly base: string;
  /** When the last event of a source came in. */
  readonly lastOf: ReadonlyMap<string, Date | null>;
}

/** A capability as it is shown. */
export type CapabilityView = ReturnType<typeof toItem>;

function toItem(installed: Shown, view: View, problem: Failure | null) {
  const { capability } = installed;
  const { base, hasSecret } = view;
  return {
    name: capability.name,
    description: capability.description,
    webhooks: (capability.webhooks ?? []).map((webhook) => ({
      source: webhook.source,
      url: `${base}/hooks/${webhook.source}`,
      ready: hasSecret(webhook.verify.secret),
      lastEventAt: view.lastOf.get(webhook.source) ?? null,
      expectEvery: expectedEvery(webhook, view.config) ?? null,
    })),
    triggers: (capability.triggers ?? []).map(({ name, on }) => ({ name, on })),
    schedules: (capability.schedules ?? []).map((schedule) => `${capability.name}/${schedule.name}`),
    tools: (capability.tools ?? []).map(({ name, description, effect }) => ({ name, description, effect })),
    agents: installed.agents.map((agent) => agent.name),
    skills: skillNames(installed),
    secrets: (capability.secrets ?? []).map(({ name, description, required = true }) => ({
      ...{ name, description, required },
      set: hasSecret(name),
    })),
    egress: capability.egress ?? [],
    problem,
  };
}

/** A refused capability is shown with nothing but its name and why. */
const unread = ({ name }: Refused): Shown => ({ capability: { name, description: "" }, agents: [], skillFolder: null });
