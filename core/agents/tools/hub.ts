import { defineTool, z } from "../../define/daimon.ts";
import type { Hub } from "../../hub/hub.ts";
import type { RegisteredTool } from "../toolbox.ts";
import { house } from "./house.ts";

const under = z.string().optional();

/** The owner's notes: what agents look things up in, and add to. Reading tells the run's label what it read. */
export function hubTools(hub: Hub): RegisteredTool[] {
  const tools = [
    defineTool({
      name: "hub_map",
      description: "Folders of the hub, a line each; `under` a folder for more.",
      input: z.object({ under }),
      effect: "read",
      sink: () => "hub",
      run: async (input, { hub }) =>
        (await hub.map(input.under ? { under: input.under } : {})).text || "Nothing there.",
    }),
    defineTool({
      name: "hub_read",
      description: "A file of the hub.",
      input: z.object({ path: z.string() }),
      effect: "read",
      sink: () => "hub",
      run: async ({ path }, { hub }) => {
        const { text, truncated } = await hub.read(path);
        return truncated ? `${text}\n[cut here; hub_search finds passages further on]` : text;
      },
    }),
    defineTool({
      name: "hub_search",
      description: "Passages of the hub that answer best; plain words.",
      input: z.object({ query: z.string().min(1), under }),
      effect: "read",
      sink: () => "hub",
      run: async ({ query, under }, { hub }) => {
        const { hits } = await hub.search(query, under ? { under } : {});
        return hits.map((hit) => `${hit.path}:${hit.lines}\n${hit.text}`).join("\n\n") || "Nothing found.";
      },
    }),
    defineTool({
      name: "hub_append",
      description: "Adds text at the end of a file of the hub, or makes it; `why` in a few words.",
      input: z.object({ path: z.string(), text: z.string().min(1), why: z.string().min(1) }),
      effect: "write",
      sink: ({ path }) => `hub:${path}`,
      repeatable: true,
      run: async ({ path, text, why }, { hub }) => await hub.append(path, text, why),
    }),
    defineTool({
      name: "skill_read",
      description: "A skill's instructions.",
      input: z.object({ name: z.string() }),
      effect: "read",
      sink: () => "hub",
      run: async ({ name }) => await hub.readSkill(name),
    }),
  ];
  return tools.map(house);
}
