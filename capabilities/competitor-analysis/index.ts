import { type Answer, type Context, defineCapability, defineSchedule, type Tick } from "daimon";
import { competitorsIn, LIST, REPORTS, renderReport } from "./report.ts";

/** What stands in a file, or null when it is not there. A step: the same after a crash. */
const readIfThere = ({ step, hub }: Context<Tick>, name: string, path: string) =>
  step.run(name, async () => {
    try {
      return (await hub.read(path)).text;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "hub.missing") return null;
      throw error;
    }
  });

/** `reports/2026-11-24.md`, or `-2`, `-3` when the report was asked for again that day. */
async function freeFile(context: Context<Tick>, date: string): Promise<string> {
  for (let count = 1; ; count++) {
    const path = `${REPORTS}/${date}${count === 1 ? "" : `-${count}`}.md`;
    if ((await readIfThere(context, `is ${path} free`, path)) === null) return path;
  }
}

/** Says what is wrong with the list, and what stands in it when it is right. */
const explainList = (text: string | null) =>
  `There is no report: ${LIST} ${text === null ? "is not there" : "names no competitor"}. ` +
  "Write a line for each into it, above the first `## `: `- Name | address | why`.";

const weekly = defineSchedule({
  name: "weekly",
  description: "Reports on the competitors that the hub names",
  cron: "0 9 * * 2",
  catchup: "one",
  overlap: "skip",
  run: async (context: Context<Tick>) => {
    const { agent, hub, send, event } = context;
    const list = await readIfThere(context, "read the list", LIST);
    const { competitors, left } = competitorsIn(list ?? "");
    if (competitors.length === 0) {
      await send({ text: explainList(list) });
      return { report: null };
    }
    // The nominal day: a report that is made up for on Friday is still Tuesday's.
    const { date } = event.data;
    const [day] = event.data.words.split(",");
    const findings: { name: string; answer: Answer }[] = [];
    for (const { name, about } of competitors) {
      const prompt = `What do we know about ${name}${about && ` (${about})`}?`;
      findings.push({ name, answer: await agent(`research ${name}`, { agent: "researcher", prompt }) });
    }
    const report = await agent("write the report", {
      agent: "reporter",
      prompt: [
        `Write the weekly competitor report for ${day}.`,
        ...findings.map(({ name, answer }) => `Findings on ${name}:\n${answer.text}`),
      ].join("\n\n"),
    });
    const path = await freeFile(context, date);
    if ((await readIfThere(context, "look for the folder", `${REPORTS}/abstract.md`)) === null) {
      await hub.create(
        `${REPORTS}/abstract.md`,
        "The weekly competitor reports, one file a week.\n",
        "Say what the folder is",
      );
    }
    const text = renderReport({ date, day: day!, eventId: event.id, report, findings, left });
    await hub.create(path, text, `Competitor report for ${day}`);
    const demo = report.demo ? " It was written by the demo model, so it knows nothing new." : "";
    const rest = left.length > 0 ? ` Left out, because ${competitors.length} is the most: ${left.join(", ")}.` : "";
    await send({ text: `The competitor report for ${day} is filed as [${path}](${path}).${demo}${rest}` });
    return { report: path, competitors: competitors.length };
  },
});

export default defineCapability({
  name: "competitor-analysis",
  description: "Writes a report on the competitors that the hub names, every Tuesday at nine.",
  schedules: [weekly],
});
