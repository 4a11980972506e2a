import { appendFileSync } from "node:fs";
import type { Logger } from "../define/context.ts";

export interface Log extends Logger {
  /** The same log with these fields on every line. */
  with(fields: Record<string, unknown>): Log;
}

/**
 * One JSON line an entry, appended to `file`.
 * Control characters from outside are escaped by JSON; values are cut at 2,000 characters.
 */
export function openLog(options: { file?: string }): Log {
  const append = options.file ? appendTo(options.file) : () => {};
  const withFields = (fields: Record<string, unknown>): Log => {
    const write = (level: string, message: string, more: Record<string, unknown> = {}) => {
      const entry = { time: new Date().toISOString(), level, message, ...fields, ...more };
      const line = JSON.stringify(entry, (_, value) => (typeof value === "string" ? value.slice(0, 2000) : value));
      append(`${line}\n`);
    };
    return {
      info: (message, more) => write("info", message, more),
      warn: (message, more) => write("warn", message, more),
      error: (message, more) => write("error", message, more),
      with: (more) => withFields({ ...fields, ...more }),
    };
  };
  return withFields({});
}

/** A log that cannot be written ends nothing, and says so once. */
function appendTo(file: string): (line: string) => void {
  let broken = false;
  return (line) => {
    try {
      appendFileSync(file, line);
      broken = false;
    } catch (error) {
      if (!broken) process.stderr.write(`The log cannot be written, and Daimon goes on: ${(error as Error).message}\n`);
      broken = true;
    }
  };
}
