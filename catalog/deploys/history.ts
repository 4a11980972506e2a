import { type HubAccess, literal } from "daimon";
import type { Result } from "./result.ts";

/** What is known of a subject before a result. */
export interface Past {
  readonly state: "green" | "failed" | "new";
  /** In a row, up to now. */
  readonly failures: number;
  /** The result itself stands there already. */
  readonly known: boolean;
  /** The subject stands in this month's file. */
  readonly thisMonth: boolean;
}

/** Tokens of one month's file that are read. */
const BUDGET = 60_000;

/** A file a month: `areas/deploys/2026-11.md`. */
const fileOf = (month: Date) => `areas/deploys/${month.toISOString().slice(0, 7)}.md`;

/** One line of the file. `literal` lets no `|` of a name through, so that no name can pass for two. */
const lineOf = (result: Pick<Result, "subject" | "id" | "failed">, time: Date) =>
  `- ${time.toISOString().slice(0, 16)} | ${result.failed ? "failed" : "green"} | ${ofSubject(result)} | ${result.id}`;
const ofSubject = ({ subject }: Pick<Result, "subject">) => subject.map(literal).join(" | ");

/** Reads this month's file and the one before. */
export async function readPast(hub: HubAccess, result: Result, time: Date): Promise<Past> {
  const before = new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() - 1, 1));
  const [old, now] = [await linesOf(hub, before), await linesOf(hub, time)];
  return pastOf(old, now, result);
}

export function pastOf(old: readonly string[], now: readonly string[], result: Result): Past {
  const middle = ` | ${ofSubject(result)} | `;
  const own = (line: string) => line.includes(middle);
  const lines = [...old, ...now].filter(own);
  const lastGreen = lines.findLastIndex((line) => line.split(" | ")[1] === "green");
  const failures = lines.length - 1 - lastGreen;
  const state = lines.length === 0 ? "new" : failures > 0 ? "failed" : "green";
  const known = lines.some((line) => line.endsWith(` | ${result.id}`));
  return { state, failures, known, thisMonth: now.some(own) };
}

/** Adds the result to this month's file. */
export async function add(hub: HubAccess, result: Result, time: Date): Promise<void> {
  await hub.append(fileOf(time), `${lineOf(result, time)}\n`, `deploys: ${result.name}`.slice(0, 120));
}

async function linesOf(hub: HubAccess, month: Date): Promise<string[]> {
  try {
    return (await hub.read(fileOf(month), { budget: BUDGET })).text.split("\n");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "hub.missing") return [];
    throw error;
  }
}
