import type { Answer } from "daimon";

/** Where the owner names the competitors: `- Name | address | why`, a line each, above the first `## `. */
export const LIST = "areas/competitors/overview.md";
export const REPORTS = "areas/competitors/reports";
const MOST_COMPETITORS = 12;

/** The competitors of the list, each name once; `left` are the names of those past the most. */
export function competitorsIn(text: string): { competitors: { name: string; about: string }[]; left: string[] } {
  const [list = ""] = text.split(/^## /m);
  const items = [...list.matchAll(/^[-*] +([^|\n]+?) *(?:\|(.*))?$/gm)];
  const named = new Map(items.map(([, name, about = ""]) => [name!.replaceAll("*", "").trim(), about]));
  const competitors = [...named].slice(0, MOST_COMPETITORS).map(([name, about]) => ({
    name,
    about: about
      .split("|")
      .map((part) => part.trim())
      .filter(Boolean)
      .join(", "),
  }));
  return { competitors, left: [...named.keys()].slice(MOST_COMPETITORS) };
}

/** The report as it is filed, with what was found below it. */
export function renderReport(parts: {
  date: string;
  /** The same in words. */
  day: string;
  eventId: string;
  report: Answer;
  findings: readonly { name: string; answer: Answer }[];
  left: readonly string[];
}): string {
  const { date, day, eventId, report, findings, left } = parts;
  const usd = findings.reduce((sum, { answer }) => sum + answer.usd, report.usd);
  const cut = [...findings.map(({ answer }) => answer), report].filter((answer) => answer.end !== "answered").length;
  return [
    "---",
    `title: "Competitors, ${date}"`,
    `created: ${date}`,
    `source: ${eventId}`,
    "tags: [report]",
    "---",
    "",
    `# Competitors, ${day}`,
    "",
    ...(report.demo ? ["> Demo, no model: written by Daimon's rules to show the way of a report.", ""] : []),
    report.text.trim(),
    "",
    "## What was found",
    ...findings.flatMap(({ name, answer }) => ["", `### ${name}`, "", answer.text.trim()]),
    "",
    ...(left.length > 0 ? [`Not looked at: ${left.join(", ")}.`, ""] : []),
    `*${findings.length} competitors, $${usd.toFixed(4)}${cut ? `; ${cut} of the answers ended at a limit` : ""}.*`,
    "",
  ].join("\n");
}
