import { type Answer, type Context, wrapUntrusted } from "daimon";
import type { Mail } from "./mail.ts";

/** What is to be done about a mail. */
export interface Triage {
  readonly verdict: "answer" | "read" | "ignore";
  readonly reason: string;
  /** The answer that the agent proposes; '' unless the verdict is `answer`. */
  readonly draft: string;
}

const MOST_PROMPT = 12_000;

/** Asks the agent. What it cannot say, or says in another form than it was told to, means: a person reads the mail. */
export async function decide({ agent }: Pick<Context, "agent">, mail: Mail): Promise<Triage> {
  try {
    return readTriage(await agent("triage", { agent: "triage", prompt: toPrompt(mail) }), mail);
  } catch (error) {
    // A limit that is reached and a key that is missing keep no mail from being filed; a model that is away is waited for.
    const { code = "", message } = error as Error & { code?: string };
    if (!/^(agent|limit|price|model-key)\.|^model\.(invalid|unknown)$/.test(code)) throw error;
    return { verdict: "read", reason: `Nobody decided: ${message}`, draft: "" };
  }
}

function toPrompt({ from, to, subject, text, attachments, automatic }: Mail): string {
  const body = text.length > MOST_PROMPT ? `${text.slice(0, MOST_PROMPT)}\n[cut]` : text;
  const lines = [
    `From: ${from}`,
    `To: ${to.join(", ")}`,
    `Subject: ${subject}`,
    ...(attachments.length > 0 ? [`Attachments, not opened: ${attachments.join(", ")}`] : []),
    "",
    body,
  ];
  const rule = automatic ? " It was written by a machine or to a list: READ or IGNORE." : "";
  return `Decide what is to be done about this mail.${rule}\n\n${wrapUntrusted(lines.join("\n"), "a mail")}`;
}

/** Reads `ANSWER: why`, a blank line, the draft; or `READ: why`; or `IGNORE: why`. */
export function readTriage(
  { text, demo, end }: Pick<Answer, "text" | "demo" | "end">,
  mail: Pick<Mail, "automatic">,
): Triage {
  const read = (reason: string): Triage => ({ verdict: "read", reason, draft: "" });
  if (demo) return read("No model is set up, so nothing was decided.");
  if (end !== "answered") return read("The agent did not come to an end.");
  const [, word, reason = "", rest = ""] =
    /^\W*(answer|read|ignore)\b\W*([^\n]*)\n?([\s\S]*)$/i.exec(text.trim()) ?? [];
  if (!word) return read("The agent did not say what is to be done.");
  const verdict = word.toLowerCase() as Triage["verdict"];
  const why = reason.trim() || "It gave no reason.";
  if (verdict !== "answer") return { verdict, reason: why, draft: "" };
  if (mail.automatic) return read("A machine wrote it, or it went to a list: such mail is not answered.");
  return rest.trim() ? { verdict, reason: why, draft: rest.trim() } : read(`${why} But it wrote no answer.`);
}
