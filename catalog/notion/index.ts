import {
  type Context,
  defineCapability,
  defineTrigger,
  defineWebhook,
  fileNote,
  type Note,
  readPayload,
  schemes,
  z,
} from "daimon";

const webhook = defineWebhook({ source: "notion", description: "A connection in Notion", ...schemes.notion });

/** https://developers.notion.com/reference/webhooks-events-delivery */
const change = z.object({
  workspace_name: z.string().nullish(),
  timestamp: z.string(),
  entity: z.object({ id: z.string(), type: z.string() }),
  authors: z.array(z.object({ id: z.string(), type: z.string() })).default([]),
  data: z
    .object({
      page_id: z.string().optional(),
      updated_blocks: z.array(z.unknown()).optional(),
      updated_properties: z.array(z.unknown()).optional(),
    })
    .default({}),
});

/** What changed, and where to look: Notion sends no content. */
export function read(event: Context["event"]): Note {
  const { entity, authors, data, ...given } = readPayload(change, event);
  const [what = "", verb = "changed"] = event.type.split(".");
  const words = `${what.replaceAll("_", " ")} ${verb.replaceAll("_", " ")}`;
  const page = entity.type === "comment" ? (data.page_id ?? entity.id) : entity.id;
  return {
    kind: "notion",
    title: `Notion: ${words} in ${given.workspace_name ?? "your workspace"}`,
    summary: `Notion says: ${words}`,
    url: `https://www.notion.so/${page.replaceAll("-", "")}`,
    facts: [
      ["When", given.timestamp],
      ["By", authors.map(({ type, id }) => `${type} ${id}`).join(", ")],
      ["Blocks changed", data.updated_blocks?.length],
      ["Properties changed", data.updated_properties?.length],
    ],
  };
}

const fileChange = defineTrigger({
  name: "file-change",
  description: "Files changes of pages and new comments in the hub's inbox",
  on: { source: "notion", type: ["page.*", "comment.created", "database.*", "data_source.*"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "notion",
  description: "Files what changes in your Notion in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileChange],
  secrets: [{ name: "NOTION_WEBHOOK_SECRET", description: "The token that Notion posts once", required: false }],
});
