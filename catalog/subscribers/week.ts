import { type Context, defineSchedule, type Tick } from "daimon";
import { count, type Kind } from "./entries.ts";

const FOLDER = "areas/subscribers";
const DAY = 86_400_000;
const SHOWN = ["new", "confirmed", "left", "bounced", "complained", "tagged"] as const satisfies Kind[];
/** Tokens: a whole list. */
const ALL = 200_000;

/** `areas/subscribers/2026-11-24.md`, and `…-2.md` when a list is full. */
export const listPath = (day: string, part: number): string => `${FOLDER}/${day}${part === 1 ? "" : `-${part}`}.md`;

export const week = defineSchedule({
  name: "week",
  description: "Counts the week's subscribers, and tells the owner",
  cron: "0 8 * * 1",
  catchup: "one",
  run: async (context: Context<Tick>) => {
    const { event, hub, send } = context;
    const monday = Date.parse(`${event.data.date}T00:00:00Z`);
    const days = [7, 6, 5, 4, 3, 2, 1].map((ago) => new Date(monday - ago * DAY).toISOString().slice(0, 10));
    const path = `${FOLDER}/weeks.md`;
    // What stands on the map of the hub is written before anything of strangers is read.
    if ((await readIfThere(context, `${FOLDER}/abstract.md`)) === null)
      await hub.create(
        `${FOLDER}/abstract.md`,
        "Who subscribes and who leaves: a list each day.\n",
        "Say what the folder is",
      );
    const begun = (await readIfThere(context, path)) !== null;
    const counts = new Map<Kind, number>();
    for (const day of days)
      for (const [kind, number] of await countDay(context, day)) counts.set(kind, (counts.get(kind) ?? 0) + number);

    const numbers = SHOWN.map((kind) => counts.get(kind) ?? 0);
    const head = `# Subscribers by week\n\n| Week | ${SHOWN.join(" | ")} |\n|${" --- |".repeat(SHOWN.length + 1)}\n`;
    const row = `| ${days[0]} to ${days[6]} | ${numbers.join(" | ")} |\n`;
    await hub.append(path, begun ? row : head + row, `subscribers: the week of ${days[0]}`);
    const words = SHOWN.map((kind, place) => `${numbers[place]} ${kind}`).join(", ");
    await send({ text: `Subscribers, ${days[0]} to ${days[6]}: ${words}.` });
    return { from: days[0], to: days[6], ...Object.fromEntries(counts) };
  },
});

async function countDay(context: Context<Tick>, day: string): Promise<Map<Kind, number>> {
  return await context.step
    .run(`count ${day}`, async () => {
      let text = "";
      for (let part = 1, list: string | null = ""; list !== null; part++) {
        list = await read(context, listPath(day, part));
        text += list ?? "";
      }
      return [...count(text)];
    })
    .then((pairs) => new Map(pairs));
}

const readIfThere = (context: Context<Tick>, path: string) =>
  context.step.run(`look for ${path}`, async () => ((await read(context, path)) === null ? null : true));

async function read({ hub }: Pick<Context, "hub">, path: string): Promise<string | null> {
  try {
    return (await hub.read(path, { budget: ALL })).text;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "hub.missing") return null;
    throw error;
  }
}
