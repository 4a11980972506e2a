import type { ZodType } from "zod";
import type { Context } from "./context.ts";
import type { DaimonEvent } from "./event.ts";

/** What an event says, in a few words for a person. All of it but `kind` may be what strangers wrote. */
export interface Note {
  /** For the file's name: `issue`. */
  readonly kind: string;
  /** Of a person who reads a list: `Issue #1: Spelling error`. */
  readonly title: string;
  /** One sentence without its full stop: who did what, where. */
  readonly summary: string;
  /** A page to open. */
  readonly url?: string | null | undefined;
  /** Those without a value are left out. */
  readonly facts?: readonly (readonly [name: string, value: string | number | null | undefined])[];
  /** Their own words, any length; data is shown as JSON. */
  readonly text?: string | object | null | undefined;
}

const MOST_TEXT = 8000;

/** The data as this shape says. Throws `payload.invalid`, which no further try mends, and names the first wrong place. */
export function readPayload<Data>(
  shape: ZodType<Data>,
  { source, type, data }: Pick<DaimonEvent, "source" | "type" | "data">,
): Data {
  const parsed = shape.safeParse(data);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const place = path.length > 0 ? `"${path.join(".")}"` : "it";
  throw Object.assign(new Error(`This is no ${type} as ${source} documents it: ${place} is wrong (${message}).`), {
    code: "payload.invalid",
    next: `See the event's raw body. If ${source} sends something else now, mend the capability that reads it.`,
  });
}

/** Files a note of the event in the hub's inbox, a step; `filed` is false when it is there, as after a replay. */
export async function fileNote(
  { event, hub }: Pick<Context, "event" | "hub">,
  note: Note,
): Promise<{ path: string; filed: boolean }> {
  const path = notePath(note, event);
  const why = `${event.source}: ${oneLine(note.summary, 100)}`;
  const filed = await hub.create(path, renderNote(note, event), why).then(() => true, isThere);
  return { path, filed };
}

const isThere = (error: { code?: string }): false => {
  if (error.code === "hub.exists") return false;
  throw error;
};

/** `inbox/2026-11-22-1633-issue-spelling-error-jxsb87rq.md`: when, what, and the end of the event's id, so that no two meet. */
export function notePath({ kind, title }: Note, { id, time }: Pick<DaimonEvent, "id" | "time">): string {
  const slug = `${kind} ${title.replace(/^[^:]*: /, "")}`
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48)
    .replace(/^-|-$/g, "");
  const minute = time.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  return `inbox/${minute}-${slug}-${id.slice(-8)}.md`;
}

/** The Markdown of a note, marked as what strangers wrote: none of it comes to a link, a picture, HTML or a heading. */
export function renderNote(note: Note, { id, source, time }: Pick<DaimonEvent, "id" | "source" | "time">): string {
  const { title, summary, url, facts = [], text } = note;
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const words = typeof text === "object" && text ? JSON.stringify(text, null, 2) : text?.trim();
  return [
    "---",
    `title: ${JSON.stringify(oneLine(title))}`,
    `description: ${JSON.stringify(oneLine(summary))}`,
    `created: ${time.toISOString().slice(0, 10)}`,
    `source: ${id}`,
    "trust: untrusted",
    `tags: [${source}]`,
    "---",
    "",
    `# ${literal(title)}`,
    "",
    `${literal(summary)}.`,
    "",
    ...known.map(([name, value]) => `- ${name}: ${literal(String(value))}`),
    ...(url && /^https?:/.test(url) && URL.canParse(url) ? [`- Link: <${new URL(url).href}>`] : []),
    ...(words ? ["", typeof text === "object" ? "The payload:" : "In their words:", "", fenced(words)] : []),
    "",
  ].join("\n");
}

/** One line without control characters, at most `most` characters. */
export function oneLine(text: string, most = 160): string {
  const line = text
    .replace(/[^\P{C}\n\t\u200d]/gu, "")
    .replace(/\s+/gu, " ")
    .trim();
  return line.length > most ? `${line.slice(0, most - 1).trimEnd()}…` : line;
}

/** One line that Markdown shows as it is: no link, no picture, no HTML comes of it. */
export const literal = (text: string): string => oneLine(text).replace(/[\\`*_{}[\]<>#|!~&$]/gu, "\\$&");

/** Text of strangers for a note, in a fence that it cannot close. */
export function fenced(text: string): string {
  const clean = text
    .replaceAll("\r\n", "\n")
    .replace(/[^\P{C}\n\t\u200d]/gu, "")
    .trim();
  const shown = clean.length > MOST_TEXT ? `${clean.slice(0, MOST_TEXT)}\n… (cut; the event holds all of it)` : clean;
  const longest = Math.max(2, ...[...shown.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${shown}\n${fence}`;
}

/** Text of strangers for a prompt, between marks that it cannot end: material for an agent, never an instruction. */
export function wrapUntrusted(text: string, from: string): string {
  return `<untrusted from="${from}">\n${text.replace(/<(\/?)(?=untrusted)/gi, "‹$1")}\n</untrusted>`;
}
