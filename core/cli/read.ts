import type { Page, SystemStatus } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { CliError, EXIT } from "./exit.ts";
import { line, printJson, say, table } from "./terminal.ts";

/** Of every command that reads. */
export interface ReadOptions {
  readonly json?: boolean;
}

/** `?a=1&b=2` of those options that are words or numbers. */
export function query(options: object): string {
  const set = Object.entries(options).filter(([, value]) => /string|number/.test(typeof value));
  return set.length === 0 ? "" : `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}`;
}

/** The owner's zone; the machine's when the token may not read it. */
export async function ownerZone(): Promise<string> {
  const status = await call<Pick<SystemStatus, "owner">>("GET", "/api/status").catch(() => null);
  return status?.owner.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Prints a list of the API: as JSON, or in columns, each a name and what it shows of an item. */
export async function showList<Item>(
  path: string,
  options: ReadOptions,
  view: { none: string; columns: Readonly<Record<string, (item: Item, zone: string) => string>> },
): Promise<void> {
  const list = call<Page<Item>>("GET", path);
  if (options.json) return printJson(await list);
  const [{ items, next }, zone] = await Promise.all([list, ownerZone()]);
  if (items.length === 0) return say(view.none);
  const show = Object.values(view.columns);
  const rows = items.map((item) => show.map((cell) => cell(item, zone)));
  table(Object.keys(view.columns), rows);
  if (next) say(`More: --cursor ${line(next)}`);
}

/** Asks for a change and prints the answer as JSON, or lets `tell` tell it. */
export async function change<Answer>(
  [method, path, body]: readonly [method: string, path: string, body?: unknown],
  options: ReadOptions,
  tell: (answer: Answer) => unknown,
): Promise<Answer> {
  const answer = await call<Answer>(method, path, body);
  if (options.json) printJson(answer);
  else await tell(answer);
  return answer;
}

/** `/api/runs/<id>`, where `latest` is the newest of the list. Throws `cli.none`, exit 3. */
export async function pathOf(list: string, id: string): Promise<string> {
  const [path] = list.split("?");
  if (id !== "latest") return `${path}/${encodeURIComponent(id)}`;
  const { items } = await call<Page<{ id: string }>>("GET", list);
  if (items[0]) return `${path}/${items[0].id}`;
  throw new CliError(EXIT.missing, "cli.none", "There is none yet.");
}
