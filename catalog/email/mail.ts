import { oneLine } from "daimon";

/** A mail that came in, whoever brought it. All of it is what its sender wrote. */
export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** Where an answer goes: Reply-To, else From. */
  readonly replyTo: string;
  readonly subject: string;
  /** As text, cut. */
  readonly text: string;
  /** Names only: they are not opened. */
  readonly attachments: readonly string[];
  /** `<…@…>`, and those of the thread before it, oldest first. */
  readonly messageId: string | null;
  readonly references: readonly string[];
  /** Written by a machine or to a list: it is never answered, or two machines would answer each other for ever. */
  readonly automatic: boolean;
}

/** What is sent, exactly; an approval shows and binds it. */
export interface Reply {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

const MOST_TEXT = 50_000;
const MOST_REFERENCES = 20;

/** A mail of its parts; `headers` by name in any spelling. */
export function toMail(parts: {
  from: string;
  to: readonly string[];
  subject: string | null | undefined;
  text: string | null | undefined;
  html: string | null | undefined;
  attachments: readonly string[];
  headers: readonly (readonly [name: string, value: string])[];
}): Mail {
  const headers = new Map(parts.headers.map(([name, value]) => [name.toLowerCase(), value]));
  const bulk = /^(bulk|list|junk|auto_reply)$/i.test(headers.get("precedence")?.trim() ?? "");
  const generated = !/^(no)?$/i.test(headers.get("auto-submitted")?.trim() ?? "");
  return {
    from: oneLine(parts.from, 300),
    to: parts.to.map((one) => oneLine(one, 300)),
    replyTo: oneLine(headers.get("reply-to") || parts.from, 300),
    subject: oneLine(parts.subject ?? "", 300) || "(no subject)",
    text: (parts.text?.trim() || toText(parts.html ?? "")).slice(0, MOST_TEXT).toWellFormed(),
    attachments: parts.attachments.map((name) => oneLine(name)),
    messageId: idsIn(headers.get("message-id")).at(0) ?? null,
    references: idsIn(headers.get("references") ?? headers.get("in-reply-to")).slice(-MOST_REFERENCES),
    automatic: bulk || generated || headers.has("list-id") || headers.has("list-unsubscribe"),
  };
}

const idsIn = (text = "") => text.match(/<[^<>\s]{1,250}>/g) ?? [];

/** The words of an HTML body, roughly: an agent reads them, no browser. */
function toText(html: string): string {
  return html
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1\s*>/gi, "")
    .replace(/<(br|\/p|\/div|\/tr|\/li|\/h\d)\b[^>]*>/gi, "\n")
    .replace(/<[^>]*>/g, "")
    .replace(/&nbsp;/gi, " ")
    .replace(/&lt;/gi, "<")
    .replace(/&gt;/gi, ">")
    .replace(/&quot;/gi, '"')
    .replace(/&#39;|&apos;/gi, "'")
    .replace(/&amp;/gi, "&")
    .replace(/[ \t]+/g, " ")
    .replace(/\s*\n\s*/g, "\n")
    .trim();
}

/** The answer to a mail, in its thread, to one address; null when it has none. https://www.rfc-editor.org/rfc/rfc5322#section-3.6.4 */
export function toReply(mail: Mail, text: string, from: string): Reply | null {
  const to = /[^\s<>(),;:"\\]+@[^\s<>(),;:"\\]+/.exec(mail.replyTo)?.[0];
  if (!to) return null;
  const { subject, messageId, references } = mail;
  const thread = [...references, ...(messageId ? [messageId] : [])];
  return {
    ...{ from, to, text },
    subject: /^re\s*:/i.test(subject) ? subject : `Re: ${subject}`,
    headers: {
      ...(messageId ? { "In-Reply-To": messageId } : {}),
      ...(thread.length > 0 ? { References: thread.join(" ") } : {}),
    },
  };
}
