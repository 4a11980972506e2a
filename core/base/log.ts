import { appendFileSync } from "node:fs";
import type { Logger } from "../define/context.ts";

export interface Log extends Logger {
  /** The same log with these fields on every line. */
  with(fields: Record<string, unknown>): Log;
}

/**
 * One JSON line an entry, appended to `file` and, when `echo` is set, to stderr as a short line for people.
 * Control characters from outside are escaped by JSON; values are cut at 2,000 characters.
 */
export function openLog(
  options: { file?: string; echo?: boolean },
  fields: object = {},
  state = { broken: false },
): Log {
  const write = (level: string, message: string, more: Record<string, unknown> = {}) => {
    const entry = { time: new Date().toISOString(), level, message, ...fields, ...more };
    const line = JSON.stringify(entry, (_, value) => (typeof value === "string" ? value.slice(0, 2000) : value));
    if (options.echo)
      process.stderr.write(`${level === "info" ? "" : `${level}: `}${JSON.stringify(message).slice(1, -1)}\n`);
    if (options.file) state.broken = !append(options.file, `${line}\n`, state.broken);
  };
  return {
    info: (message, more) => write("info", message, more),
    warn: (message, more) => write("warn", message, more),
    error: (message, more) => write("error", message, more),
    with: (more) => openLog(options, { ...fields, ...more }, state),
  };
}

/** False when it cannot be written, which ends nothing and is said once. */
function append(file: string, line: string, told: boolean): boolean {
  try {
    appendFileSync(file, line);
    return true;
  } catch (error) {
    if (!told) process.stderr.write(`The log cannot be written, and Daimon goes on: ${(error as Error).message}\n`);
    return false;
  }
}
