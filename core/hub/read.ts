import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DaimonError } from "../base/errors.ts";
import { readAbstract } from "./map.ts";
import { locate } from "./paths.ts";
import { readText } from "./plan-writes.ts";

export interface HubText {
  readonly path: string;
  readonly text: string;
  readonly truncated: boolean;
  /** Which lines these are, `"12-31"`, when it is not the whole file; `of` is how many it has. */
  readonly lines?: string;
  readonly of?: number;
}

/**
 * The text at `path`, cut to `budget` tokens (default 4000) at a line's end. `file.md:12-31` is those lines. A folder
 * is its overview and a list of what is in it. `elsewhere` knows the files of skills outside the hub. Throws
 * `hub.missing`, `hub.archived`, `hub.path`, `hub.binary`.
 */
export function readHub(
  root: string,
  path: string,
  options: { budget?: number; elsewhere?: (path: string) => string | null } = {},
): HubText {
  const [, name = path, from, to = from] = /^(.+?):(\d+)(?:-(\d+))?$/u.exec(path) ?? [];
  const place = locate(root, name);
  const absolute = place.kind === "missing" ? options.elsewhere?.(place.path) : place.absolute;
  if (!absolute) throw missing(root, name, place.twin);
  const text = place.kind === "folder" ? describeFolder(absolute) : readText({ ...place, absolute });
  const all = text.split("\n");
  const total = text.endsWith("\n") ? all.length - 1 : all.length;
  const [first, last] = [Math.max(1, Number(from ?? 1)), Math.min(Number(to ?? total), total)];
  const wanted = from ? all.slice(first - 1, last).join("\n") : text;
  const most = (options.budget ?? 4000) * 4;
  const whole = Buffer.byteLength(wanted) <= most;
  const shown = whole ? wanted : cutText(wanted, most);
  const end = whole ? last : first + shown.split("\n").length - 1;
  const part = from || !whole ? { lines: `${first}-${end}`, of: total } : {};
  return { path: place.path, text: shown, truncated: !whole, ...part };
}

/** As much as fits into `most` bytes, cut at a line's end if there is one, and never within a character. */
function cutText(text: string, most: number): string {
  const cut = Buffer.from(text)
    .subarray(0, most)
    .toString("utf8")
    .replace(/\uFFFD+$/u, "");
  return cut.includes("\n") ? cut.slice(0, cut.lastIndexOf("\n")) : cut;
}

function describeFolder(folder: string): string {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  const told = new Set(["abstract.md", "overview.md"]);
  const overview = entries.some((entry) => entry.name === "overview.md" && entry.isFile())
    ? readFileSync(join(folder, "overview.md"), "utf8").trimEnd()
    : readAbstract(folder);
  const list = entries
    .filter(({ name }) => !told.has(name))
    .map((entry) => ({ name: entry.name, inside: entry.isDirectory(), at: join(folder, entry.name) }))
    .sort((a, b) => Number(b.inside) - Number(a.inside) || (a.name < b.name ? -1 : 1))
    .map(({ name, inside, at }) => {
      return inside
        ? `- ${name}/ ${readAbstract(at)}`.trimEnd()
        : `- ${name} (${Math.ceil(lstatSync(at).size / 4)} tokens)`;
    });
  return `${overview}\n\nIn this folder:\n${list.join("\n") || "(nothing)"}\n`;
}

function missing(root: string, path: string, twin: string | undefined): DaimonError {
  const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
  const next =
    parent !== "" && locate(root, parent).kind === "folder"
      ? `See what is there: read "${parent}".`
      : "Search for it, or look at the map.";
  return new DaimonError("hub.missing", `There is no "${path}" in the hub.${twin ? ` There is "${twin}".` : ""}`, next);
}
