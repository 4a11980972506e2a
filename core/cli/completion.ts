import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { Page } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { line } from "./terminal.ts";

/** Prints the script by which the shell asks `daimon complete --` for words. */
export function printScript(program: Command, shell: string): void {
  tab(program, { completionCommandName: "completion" }).setup("daimon", "daimon", shell);
}

/** Prints the words that may come next. Ids and names are the server's, when it runs. */
export async function complete(program: Command, words: string[]): Promise<void> {
  const root = tab(program, { completionCommandName: "completion" });
  const path = words.slice(0, -1).filter((word) => !word.startsWith("-"));
  const command = root.commands.get(path.join(" "));
  const argument = command && [...command.arguments.keys()][0];
  if (command && argument) {
    const values = await valuesOf(path[0]!);
    if (values.length > 0)
      command.argument(argument, (offer) => {
        for (const value of values) offer(...value);
      });
  }
  root.parse(words);
}

/** Which list an argument of a noun comes from, and which of its fields are the word and what is said of it. */
const LISTS: Readonly<Record<string, readonly [path: string, word: string, description: string]>> = {
  events: ["/api/events?limit=20", "id", "type"],
  runs: ["/api/runs?limit=20", "id", "handler"],
  schedules: ["/api/schedules", "name", "description"],
  approvals: ["/api/approvals?status=waiting", "id", "title"],
  send: ["/api/samples", "source", "type"],
  listen: ["/api/samples", "source", "type"],
  remove: ["/api/capabilities", "name", "description"],
  token: ["/api/tokens", "name", "scopes"],
};

async function valuesOf(noun: string): Promise<[word: string, description: string][]> {
  const list = LISTS[noun];
  if (!list) return [];
  const [path, word, description] = list;
  try {
    const { items } = await call<Page<Record<string, unknown>>>("GET", path);
    return [...new Map(items.map((item) => [line(String(item[word])), line(String(item[description] ?? ""))]))];
  } catch {
    return []; // Without the server the shell still completes the commands.
  }
}
