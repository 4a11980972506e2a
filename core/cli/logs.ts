import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { readEnvironment } from "../base/environment.ts";
import { CliError, EXIT } from "./exit.ts";
import type { ReadOptions } from "./read.ts";
import { dim, line, print, status } from "./terminal.ts";

const LEVELS = ["info", "warn", "error"];

/** Prints the end of `<home>/daimon.log`; with `follow`, also what is written from then on, through a rotation. */
export async function showLogs(options: ReadOptions & { follow?: boolean; level: string; lines: number }) {
  const file = join(readEnvironment().home, "daimon.log");
  if (!existsSync(file)) throw new CliError(EXIT.missing, "log.missing", `There is no log yet (${file}).`, "npm start");
  const wanted = (text: string) => LEVELS.indexOf(parse(text).level) >= LEVELS.indexOf(options.level);
  const show = (text: string) => print(options.json ? text : words(parse(text)));
  const written = readFileSync(file, "utf8").split("\n").slice(0, -1);
  written.filter(wanted).slice(-options.lines).forEach(show);
  if (!options.follow) return;
  const tail = spawn("tail", ["-n", `+${written.length + 1}`, "-F", file], { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => tail.kill());
  for await (const text of createInterface({ input: tail.stdout })) if (wanted(text)) show(text);
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
