/** What happened, said in a few words. Everything in it but `kind` and `tag` is what strangers wrote. */
export interface Entry {
  /** For the file's name: `issue`. */
  readonly kind: string;
  /** Of a person who reads a list: `Issue #1: Spelling error`. */
  readonly title: string;
  /** One sentence: who did what, where. */
  readonly summary: string;
  /** A page on GitHub, if there is one. */
  readonly url: string | null;
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** Their own words, any length. */
  readonly text: string | null;
}

const MOST_TEXT = 8000;

/** One line without control characters, at most `most` characters. */
export function oneLine(text: string, most = 160): string {
  const line = text
    .replace(/[^\P{C}\n\t\u200d]/gu, "")
    .replace(/\s+/gu, " ")
    .trim();
  return line.length > most ? `${line.slice(0, most - 1).trimEnd()}…` : line;
}

/** One line that Markdown shows as it is: no link, no picture, no HTML comes of it. */
const literal = (text: string) => oneLine(text).replace(/[\\`*_{}[\]<>#|!~&$]/gu, "\\$&");

/** Text of strangers in a fence that it cannot close. */
function fenced(text: string): string {
  const clean = text
    .replaceAll("\r\n", "\n")
    .replace(/[^\P{C}\n\t\u200d]/gu, "")
    .trim();
  const shown = clean.length > MOST_TEXT ? `${clean.slice(0, MOST_TEXT)}\n… (cut; the event holds all of it)` : clean;
  const longest = Math.max(2, ...[...shown.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${shown}\n${fence}`;
}

/** `inbox/2026-11-22-1633-issue-spelling-error-3f9k.md`: when, what, and the end of the event's id, so that no two meet. */
export function notePath(entry: Entry, eventId: string, now: Date): string {
  const words = `${entry.kind} ${entry.title.replace(/^[^:]*: /, "")}`;
  const slug = words
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48)
    .replace(/^-|-$/g, "");
  const minute = now.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  return `inbox/${minute}-${slug}-${eventId.slice(-8)}.md`;
}

/** The Markdown of an entry in the inbox, marked as what strangers wrote. */
export function renderNote(entry: Entry, eventId: string, now: Date): string {
  const link = entry.url && /^https?:/.test(entry.url) ? [`- Link: <${new URL(entry.url).href}>`] : [];
  const facts = entry.facts.map(([name, value]) => `- ${name}: ${literal(value)}`);
  return [
    "---",
    `title: ${JSON.stringify(oneLine(entry.title))}`,
    `description: ${JSON.stringify(oneLine(entry.summary))}`,
    `created: ${now.toISOString().slice(0, 10)}`,
    `source: ${eventId}`,
    "trust: untrusted",
    "tags: [github]",
    "---",
    "",
    `# ${literal(entry.title)}`,
    "",
    `${literal(entry.summary)}.`,
    "",
    ...facts,
    ...link,
    ...(entry.text?.trim() ? ["", "In their words:", "", fenced(entry.text)] : []),
    "",
  ].join("\n");
}
