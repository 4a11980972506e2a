import { type Context, fenced, literal, readPayload, wrapUntrusted } from "daimon";
import { issue } from "./entries.ts";

const KINDS = ["bug", "feature", "question", "documentation", "spam", "other"];
const URGENCIES = ["low", "normal", "high"];
/** Characters of an issue that the agent is shown. */
const MOST_BODY = 12_000;

/** What the agent makes of an issue. */
export interface Triage {
  readonly kind: string;
  readonly urgency: string;
  readonly why: string;
  /** What the owner may answer; empty when no answer is needed. */
  readonly answer: string;
  /** The demo, and no model, said so. */
  readonly demo: boolean;
}

/** Has an issue looked at by the agent `issue-triage`. What it cannot say is a problem in words: the issue is filed all the same. */
export async function triageIssue(context: Context): Promise<{ triage: Triage | null; problem: string }> {
  const { issue: opened, ...data } = readPayload(issue, context.event);
  const words = `Title: ${opened.title}\nBy: ${data.sender.login}\n\n${(opened.body ?? "").slice(0, MOST_BODY)}`;
  const prompt = `Triage issue #${opened.number} of a repository on GitHub.\n\n${wrapUntrusted(words, "github")}`;
  try {
    const { text, demo } = await context.agent("triage", { agent: "issue-triage", prompt });
    const triage = readTriage(text);
    return {
      triage: triage && { ...triage, demo },
      problem: triage ? "" : "the agent's answer had no kind and urgency",
    };
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    if (!/^(agent|limit|price|model-key)\.|^model\.(invalid|unknown)$/.test(code)) throw error;
    return { triage: null, problem: message };
  }
}

/** `Kind:`, `Urgency:`, `Why:` and `Answer:` of an agent's text; null when the first two are not among the known words. */
export function readTriage(text: string): Omit<Triage, "demo"> | null {
  const plain = text.replaceAll("**", "");
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "im").exec(plain)?.[1]?.trim() ?? "";
  const [kind, urgency] = [field("Kind").toLowerCase(), field("Urgency").toLowerCase()];
  if (!KINDS.includes(kind) || !URGENCIES.includes(urgency)) return null;
  const answer = /^Answer:\s*([\s\S]*)$/im.exec(plain)?.[1]?.trim() ?? "";
  return { kind, urgency, why: field("Why"), answer: /^none\.?$/i.test(answer) ? "" : answer };
}

/** The section that is added to the issue's note. The agent has read strangers' words, so its own are quoted as theirs are. */
export function renderTriage(triage: Triage | null, problem: string): string {
  if (!triage) return `\n## Triage\n\nNot triaged: ${literal(problem)}.\n`;
  const { kind, urgency, why, answer, demo } = triage;
  const lines = [`- Kind: ${kind}`, `- Urgency: ${urgency}`, ...(why ? [`- Why: ${literal(why)}`] : [])];
  const by = demo ? ["The demo wrote this; no model has read the issue.", ""] : [];
  const suggested = answer ? ["", "A suggested answer; nothing was sent:", "", fenced(answer)] : [];
  return ["", "## Triage", "", ...by, ...lines, ...suggested, ""].join("\n");
}
