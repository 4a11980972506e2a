import { defineTool, z } from "../../define/daimon.ts";
import type { EventOutcome } from "../../define/event.ts";
import type { Label } from "../../define/label.ts";
import type { RegisteredTool } from "../toolbox.ts";
import { house } from "./house.ts";

/** What an agent sees of an event. */
export interface EventSummary {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: Date;
  readonly outcome: EventOutcome;
}

export interface SystemToolsOptions {
  /** The newest events first. */
  readonly listEvents: (filter: { source?: string; limit: number }) => Promise<readonly EventSummary[]>;
  /** Queues a run of the trigger `capability/name`, once for each key; what runs inherits the label. */
  readonly runTrigger: (wanted: {
    name: string;
    data: unknown;
    key: string;
    label: Label;
    parentRunId: string;
  }) => Promise<{ eventId: string; runIds: readonly string[] }>;
}

/** What happened, and making something happen. */
export function systemTools(options: SystemToolsOptions): RegisteredTool[] {
  const tools = [
    defineTool({
      name: "list_events",
      description: "Recent events: id, source, type, time, outcome.",
      input: z.object({ source: z.string().optional(), limit: z.int().min(1).max(50).default(10) }),
      effect: "read",
      run: async ({ source, limit }) => {
        // A type comes from the sender, so what this returns is marked as a stranger's words.
        const events = await options.listEvents(source ? { source, limit } : { limit });
        const lines = events.map(
          (event) =>
            `${event.id} ${event.source} ${event.type.slice(0, 60)} ${event.time.toISOString()} ${event.outcome}`,
        );
        return lines.join("\n") || "No events.";
      },
    }),
    defineTool({
      name: "run_trigger",
      description: "Runs a trigger now, by name (`capability/trigger`), on `data`.",
      input: z.object({ name: z.string(), data: z.record(z.string(), z.unknown()).default({}) }),
      effect: "write",
      sink: () => "daimon",
      repeatable: true,
      run: async ({ name, data }, { idempotencyKey, label, runId }) =>
        await options.runTrigger({ name, data, key: idempotencyKey, label, parentRunId: runId }),
    }),
  ];
  return tools.map(house);
}
