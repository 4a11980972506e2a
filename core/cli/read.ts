import type { Page, SystemStatus } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { CliError, EXIT } from "./exit.ts";
import { line, openLine, printJson, say, table } from "./terminal.ts";

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
  const list = readList<Item>(path);
  if (options.json) return printJson(await list);
  const [{ items, next }, zone] = await Promise.all([list, ownerZone()]);
  if (items.length === 0) return say(view.none);
  const show = Object.values(view.columns);
  const rows = items.map((item) => show.map((cell) => cell(item, zone)));
  table(Object.keys(view.columns), rows);
  if (next) say(`More: --cursor ${line(next)}`);
}

/** A page of a list. Of a search by text it is filled from as many parts as that takes, telling how far it has looked. */
async function readList<Item>(path: string): Promise<Page<Item>> {
  const most = Number(new URLSearchParams(path.split("?")[1]).get("limit") ?? 50);
  const show = openLine();
  let page = await call<Page<Item>>("GET", path);
  let looked = page.searched ?? 0;
  while (page.searched && page.next && page.items.length < most) {
    show(`Looked through ${looked} events, found ${page.items.length}.`);
    const { items } = page;
    const next = new URLSearchParams(path.split("?")[1]);
    next.set("cursor", page.next);
    next.set("limit", String(most - items.length));
    page = await call<Page<Item>>("GET", `${path.split("?")[0]}?${next}`);
    looked += page.searched ?? 0;
    page = { ...page, items: [...items, ...page.items] };
  }
  show();
  return page;
}

/** Says why nothing begins. */
export async function sayWhenStopped(): Promise<void> {
  const status = await call<Pick<SystemStatus, "stopped">>("GET", "/api/status").catch(() => null);
  if (status?.stopped) say("STOP is on: nothing begins. Next: daimon stop --release");
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
  const things = path!.split("/").at(-1);
  throw new CliError(EXIT.missing, "cli.none", `There are no ${things} yet.`, `daimon ${things} --help`);
}
