import { fenced, literal, oneLine } from "daimon";
import type { Mail } from "./mail.ts";
import type { Triage } from "./triage.ts";

/** `inbox/2026-11-24-1503-mail-a-question-jxsb87rq.md` */
export function mailPath({ subject }: Mail, event: { id: string; time: Date }): string {
  const slug = subject
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48)
    .replace(/^-|-$/g, "");
  const minute = event.time.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  return `inbox/${[minute, "mail", slug, event.id.slice(-8)].filter(Boolean).join("-")}.md`;
}

/** The mail as a note: who, what, the verdict, its words in a fence, and the draft in another. */
export function renderMail(mail: Mail, triage: Triage, event: { id: string; time: Date }): string {
  const title = `Mail: ${mail.subject}`;
  return [
    "---",
    `title: ${JSON.stringify(oneLine(title))}`,
    `created: ${event.time.toISOString().slice(0, 10)}`,
    `source: ${event.id}`,
    "trust: untrusted",
    "tags: [mail]",
    "---",
    "",
    `# ${literal(title)}`,
    "",
    `- From: ${literal(mail.from)}`,
    `- To: ${literal(mail.to.join(", "))}`,
    ...(mail.replyTo === mail.from ? [] : [`- An answer goes to: ${literal(mail.replyTo)}`]),
    ...(mail.attachments.length > 0 ? [`- Attachments, not opened: ${literal(mail.attachments.join(", "))}`] : []),
    `- To do: **${triage.verdict}**. ${literal(triage.reason)}`,
    "",
    "In their words:",
    "",
    fenced(mail.text || "(empty)"),
    ...(triage.draft ? ["", "## Draft of an answer", "", fenced(triage.draft)] : []),
    "",
  ].join("\n");
}

/** One line of the list of what was ignored. */
export const renderIgnored = ({ from, subject }: Mail, { reason }: Triage, event: { id: string; time: Date }): string =>
  `- ${event.time.toISOString().slice(0, 16).replace("T", " ")} ${literal(from)}: ${literal(subject)} (${literal(reason)}, ${event.id})\n`;
