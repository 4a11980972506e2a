import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readEnvironment } from "../base/environment.ts";
import { CliError, EXIT } from "./exit.ts";
import type { ReadOptions } from "./read.ts";
import { dim, line, print, status } from "./terminal.ts";

const LEVELS = ["info", "warn", "error"];
const WINDOW_BYTES = 1 << 20;

/** Prints the end of `<home>/daimon.log`; with `follow`, also what is written from then on, through a rotation. */
export async function showLogs(options: ReadOptions & { follow?: boolean; level: string; lines: number }) {
  const file = join(readEnvironment().home, "daimon.log");
  if (!existsSync(file) && !options.follow) {
    throw new CliError(EXIT.missing, "log.missing", `There is no log yet (${file}).`, "npm start");
  }
  const show = (texts: string[], most: number) => {
    const wanted = texts.filter((text) => LEVELS.indexOf(parse(text).level) >= LEVELS.indexOf(options.level));
    for (const text of wanted.slice(-most)) print(options.json ? text : words(parse(text)));
  };
  let { lines, end } = readLines(file, null);
  show(lines, options.lines);
  while (options.follow) {
    await sleep(200);
    ({ lines, end } = readLines(file, end));
    show(lines, Number.POSITIVE_INFINITY);
  }
}

/** The whole lines from the byte `from` on, or of the last window, and where they end. */
function readLines(file: string, from: number | null): { lines: string[]; end: number } {
  if (!existsSync(file)) return { lines: [], end: 0 };
  const handle = openSync(file, "r");
  try {
    const { size } = fstatSync(handle);
    const start = from === null ? Math.max(0, size - WINDOW_BYTES) : from > size ? 0 : from;
    const buffer = Buffer.alloc(Math.min(WINDOW_BYTES, size - start));
    readSync(handle, buffer, 0, buffer.length, start);
    const end = buffer.lastIndexOf("\n") + 1;
    const lines = buffer.toString("utf8", 0, end).split("\n").slice(0, -1);
    // A window begins in the middle of a line.
    return { lines: from === null && start > 0 ? lines.slice(1) : lines, end: start + end };
  } finally {
    closeSync(handle);
  }
}

type Entry = Readonly<Record<string, unknown>> & { readonly level: string };

function parse(text: string): Entry {
  try {
    return { level: "info", ...JSON.parse(text) };
  } catch {
    return { level: "info", message: text }; // Not our line: shown as it stands.
  }
}

function words({ time, level, message, ...fields }: Entry): string {
  const at = time ? new Date(String(time)).toLocaleTimeString("en-GB") : "";
  const mark = level === "info" ? "" : `${status(level === "error" ? "failed" : "warning", level)} `;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${dim(at)}  ${mark}${line(String(message))}  ${dim(line(rest.join(" ")))}`.trimEnd();
}
