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

const weekly = defineSchedule({
  name: "weekly",
  description: "Reports on the competitors that the hub names",
  cron: "0 9 * * 2",
  catchup: "one",
  overlap: "skip",
  run: async (context: Context<Tick>) => {
    const { agent, hub, send, event } = context;
    const competitors = competitorsIn((await readIfThere(context, "read the list", LIST)) ?? "");
    if (competitors.length === 0) {
      await send({
        text: `${LIST} names no competitor yet. Add a line for each: \`- Name | address | why\`.`,
      });
      return { report: null };
    }
    const findings: { name: string; answer: Answer }[] = [];
    for (const { name, about } of competitors) {
      const prompt = `What do we know about ${name}${about && ` (${about})`}?`;
      findings.push({ name, answer: await agent(`research ${name}`, { agent: "researcher", prompt }) });
    }
    const date = event.data.date;
    const report = await agent("write the report", {
      agent: "reporter",
      prompt: [
        `Write the weekly competitor report of ${date}.`,
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
    await hub.create(path, renderReport({ date, eventId: event.id, report, findings }), `Competitor report of ${date}`);
    const demo = report.demo ? " It was written by the demo model, so it knows nothing new." : "";
    await send({ text: `The competitor report of ${date} is filed as [${path}](${path}).${demo}` });
    return { report: path, competitors: competitors.length };
  },
});

export default defineCapability({
  name: "competitor-analysis",
  description: "Writes a report on the competitors that the hub names, every Tuesday at nine.",
  schedules: [weekly],
});
