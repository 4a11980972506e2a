import { defineCapability, defineTool, type Toolbox, z } from "daimon";

const saveIdea = defineTool({
  name: "save_idea",
  description: "Saves an idea of the owner as a note in the hub's inbox. Returns the note's path.",
  input: z.object({
    text: z.string().trim().min(1).max(20_000).describe("The idea, in the owner's own words."),
    title: z.string().trim().min(1).max(120).optional().describe("A few words. Default: the text's beginning."),
  }),
  effect: "write",
  sink: () => "hub:inbox",
  repeatable: true,
  run: async ({ text, title = firstWords(text) }, context) => {
    const head = [`title: ${JSON.stringify(title)}`, `created: ${day(context)}`, `source: ${context.event.id}`];
    const note = `---\n${head.join("\n")}\ntags: [idea]\n---\n\n# ${title}\n\n${text}\n`;
    const { path } = await createBeside(context, `${minute(context)}-${slug(title)}`, note);
    return { path };
  },
});

const forgetIdea = defineTool({
  name: "forget_idea",
  description:
    "Marks a saved idea as dropped, after the owner has said yes. The note stays, so that it can be found again.",
  input: z.object({
    path: z
      .string()
      .regex(/^inbox\/[^/]+\.md$/)
      .describe("The note's path, as save_idea or hub_search told it."),
    reason: z.string().trim().max(500).optional(),
  }),
  effect: "destroy",
  sink: ({ path }) => `hub:${path}`,
  repeatable: true,
  approval: true,
  run: async ({ path, reason }, context) => {
    await context.hub.read(path);
    await context.hub.append(path, `\n**Dropped** on ${day(context)}${reason ? `: ${reason}` : ""}.\n`, `Drop ${path}`);
    return { path };
  },
});

/** Creates `inbox/<name>.md`, or `-2`, `-3`, … when it is there. */
async function createBeside({ hub }: Toolbox, name: string, text: string): Promise<{ path: string }> {
  for (let count = 1; ; count++) {
    const path = `inbox/${name}${count === 1 ? "" : `-${count}`}.md`;
    try {
      return await hub.create(path, text, `Save the idea ${name}`);
    } catch (error) {
      const taken = error instanceof Error && "code" in error && error.code === "hub.exists";
      if (!taken || count === 20) throw error;
    }
  }
}

const firstWords = (text: string) => {
  const line = text.split("\n")[0]!.trim();
  return line.length <= 80 ? line : `${line.slice(0, 79).replace(/\s+\S*$/, "")}…`;
};
const slug = (title: string) =>
  title
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .slice(0, 40)
    .replace(/^-|-$/g, "") || "idea";
const day = ({ now }: Toolbox) => now.toISOString().slice(0, 10);
const minute = ({ now }: Toolbox) => now.toISOString().slice(0, 16).replace("T", "-").replace(":", "");

export default defineCapability({
  name: "ideas",
  description: "Keeps the owner's ideas as notes in the hub's inbox.",
  tools: [saveIdea, forgetIdea],
});
