import { stripVTControlCharacters, styleText } from "node:util";
import { formatDuration } from "../base/durations.ts";
import { CliError, EXIT, usage } from "./exit.ts";

type Color = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Data, on stdout. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** Words, on stderr. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Coloured when the stream is a terminal and `NO_COLOR` is not set. */
export const paint = (color: Color, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(color, text, { stream });
export const dim = (text: string): string => paint("dim", text);

/** Text from outside without what could steer a terminal: control and direction characters; line ends and tabs stay. */
export const clean = (text: string): string => text.replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, "");

/** The same on one line. */
export const line = (text: string): string => clean(text).replace(/\s+/g, " ").trim();
export const pretty = (value: unknown): string => clean(JSON.stringify(value, null, 2) ?? "");

const COLORS: Readonly<Record<string, Color>> = {
  ...{ completed: "green", dispatched: "green", approved: "green", ok: "green", closed: "green" },
  ...{ failed: "red", dead: "red", denied: "red", open: "red", running: "cyan", waiting: "yellow", warning: "yellow" },
};

/** A status word, or what stands for it, in its colour. */
export const status = (word: string, shown = word): string => paint(COLORS[word] ?? "dim", line(shown));

const WIDE = /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u;
const widthOf = (character: string): number => (/\p{Mark}|\u200d/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

/** Columns that a text takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of stripVTControlCharacters(text)) columns += widthOf(character);
  return columns;
}

/** At most `columns` wide; what is cut ends in `…` and loses its colour. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = "";
  let used = 1;
  for (const character of stripVTControlCharacters(text)) {
    used += widthOf(character);
    if (used > columns) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Prints aligned columns; on a terminal with their names, and each line cut to its width. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const terminal = process.stdout.isTTY;
  const all = terminal ? [header.map(dim), ...rows] : rows;
  const widths = header.map((_, place) => Math.max(0, ...all.map((row) => width(row[place]!))));
  for (const row of all) {
    const cells = row.map((cell, place) => cell + " ".repeat(widths[place]! - width(cell)));
    const last = row.at(-1)!;
    const head = cells.slice(0, -1).join("  ");
    const room = terminal ? Math.max(1, (process.stdout.columns || 80) - width(head) - 2) : Infinity;
    print(`${head}  ${cut(last, room)}`.trimEnd());
  }
}

/** Prints `name  value` lines, aligned; those without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | null | undefined])[]): void {
  const set = pairs.filter(([, value]) => value);
  const longest = Math.max(...set.map(([name]) => name.length));
  for (const [name, value] of set) print(`${dim(name.padEnd(longest))}  ${value!.trimEnd()}`);
}

/** `16:33:05 · 3m ago`, with the day when it is another one; `–` for no time. */
export function time(iso: string | null | undefined, zone: string, now = new Date()): string {
  if (!iso) return "–";
  const at = new Date(iso);
  const day = (date: Date) => date.toLocaleDateString("en-CA", { timeZone: zone });
  const clock = at.toLocaleTimeString("en-GB", { timeZone: zone });
  const distance = now.getTime() - at.getTime();
  const words = Math.abs(distance) < 1000 ? "now" : formatDuration(Math.abs(distance));
  const relative = words === "now" ? words : distance > 0 ? `${words} ago` : `in ${words}`;
  return `${day(at) === day(now) ? clock : `${day(at)} ${clock.slice(0, 5)}`} · ${relative}`;
}

/** How long it took, or takes so far; nothing when it has not begun. */
export const took = (from: string | null, to: string | null): string =>
  from ? formatDuration((to ? new Date(to) : new Date()).getTime() - new Date(from).getTime()) : "";

/** `$0.0042`; nothing for zero. */
export const usd = (amount: number): string =>
  amount === 0 ? "" : amount < 0.0001 ? "<$0.0001" : `$${amount.toFixed(amount < 0.01 ? 4 : 2)}`;

/** One line from the terminal; null at Ctrl-D. Throws `chat.ended` at Ctrl-C. */
export async function promptLine(question: string): Promise<string | null> {
  const { createInterface } = await import("node:readline/promises");
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise((resolve, reject) => {
      prompt.on("SIGINT", () => reject(new CliError(EXIT.interrupted, "cli.interrupted", "Ended.")));
      prompt.on("close", () => resolve(null));
      prompt.question(question).then(resolve, reject);
    });
  } finally {
    prompt.close();
  }
}

/** Asks before something is done, unless `yes` was said. Throws `cli.declined`, or `cli.usage` when nobody can be asked. */
export async function confirm(question: string, { yes }: { yes?: boolean }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) throw usage("There is no terminal to ask on.", "Say --yes.");
  if (/^y(es)?$/i.test((await promptLine(`${question} [y/N] `)) ?? "")) return;
  throw new CliError(EXIT.failed, "cli.declined", "Nothing was changed.");
}

/** A line on stderr that is written over on a terminal, and said anew elsewhere; said without words it is ended. */
export function openLine(): (words?: string) => void {
  let before = "";
  const terminal = process.stderr.isTTY;
  return (words) => {
    if (words === before) return;
    if (terminal) process.stderr.write(words === undefined ? before && "\n" : `\r\u001b[K${words}`);
    else if (words) say(words);
    before = words ?? "";
  };
}
