import { type Context, defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";
import { type Entry, KINDS, readEntry } from "./entries.ts";
import { listPath, week } from "./week.ts";

const list = defineTrigger({
  name: "list",
  description: "Lists who subscribes, is tagged and leaves, a file each day",
  on: { source: "kit", type: Object.keys(KINDS) },
  run: async (context) => {
    const entry = await context.step.run("read the event", () => readEntry(context.event));
    return { kind: entry.kind, path: await append(context, entry) };
  },
});

/** At the end of the day's list; of its next part when it is full. */
async function append({ hub }: Context, { day, kind, line }: Entry): Promise<string> {
  for (let part = 1; ; part++) {
    try {
      return (await hub.append(listPath(day, part), line, `kit: ${kind}`)).path;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "hub.size")) throw error;
    }
  }
}

export default defineCapability({
  name: "subscribers",
  description: "Lists in the hub who subscribes and who leaves, each day, and counts them each week.",
  webhooks: [defineWebhook({ source: "kit", description: "Subscribers of a Kit account", ...schemes.kit })],
  triggers: [list],
  schedules: [week],
  secrets: [{ name: "KIT_WEBHOOK_SECRET", description: "What Kit signs with", required: false }],
});
