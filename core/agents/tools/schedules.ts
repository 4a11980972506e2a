import type { Toolbox } from "../../define/context.ts";
import { defineTool, z } from "../../define/daimon.ts";
import type { Label } from "../../define/label.ts";
import type { RegisteredTool } from "../toolbox.ts";
import { house } from "./house.ts";

/** What an agent sees of a schedule. */
export interface ScheduleSummary {
  readonly name: string;
  readonly label: Label;
  /** Cron and zone, or `once`; what it does; when it comes next. */
  readonly words: string;
}

export interface ScheduleToolsOptions {
  readonly list: () => Promise<readonly ScheduleSummary[]>;
  /** Makes a schedule in the caller's name; answers its name and its next times. */
  readonly create: (
    wish: { when: string; text: string; agent: string | null },
    caller: Pick<Toolbox, "event" | "label">,
  ) => Promise<string>;
  readonly remove: (name: string) => Promise<void>;
}

/** Doing something at a time. */
export function scheduleTools(options: ScheduleToolsOptions): RegisteredTool[] {
  const tools = [
    defineTool({
      name: "create_schedule",
      description:
        'Does something later or again. `when`: "tomorrow at 9", "in 20 minutes", "2026-12-24 18:00", "every weekday at 8:30", or cron. `remind`: the owner is told `text` then; else you are asked it.',
      input: z.object({ when: z.string(), text: z.string().min(1), remind: z.boolean().default(false) }),
      effect: "write",
      sink: () => "daimon",
      run: async ({ when, text, remind }, { agent, event, label }) =>
        await options.create({ when, text, agent: remind ? null : agent }, { event, label }),
    }),
    defineTool({
      name: "list_schedules",
      description: "Schedules and reminders.",
      input: z.object({}),
      effect: "none",
      run: async () => {
        const all = await options.list();
        // What a run that had read strangers' words has made may quote them.
        const shown = all.filter(({ label }) => label.integrity === "trusted");
        const lines = shown.map(({ name, words }) => `${name}: ${words}`);
        const hidden = all.length - shown.length;
        if (hidden > 0)
          lines.push(`${hidden} more, made from what strangers said: the owner sees them in the console.`);
        return lines.join("\n") || "None.";
      },
    }),
    defineTool({
      name: "delete_schedule",
      description: "Removes a schedule or reminder, by name.",
      input: z.object({ name: z.string() }),
      effect: "destroy",
      sink: () => "daimon",
      repeatable: true,
      run: async ({ name }) => {
        await options.remove(name);
        return `${name} is removed.`;
      },
    }),
  ];
  return tools.map(house);
}
