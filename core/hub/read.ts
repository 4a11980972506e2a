import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DaimonError } from "../base/errors.ts";
import { readAbstract, tokensOf } from "./map.ts";
import { locate, type Place } from "./paths.ts";
import { readText } from "./plan-writes.ts";

export interface HubText {
  readonly path: string;
  readonly text: string;
  readonly truncated: boolean;
  /** Which lines these are, `"12-31"`, when it is not the whole file; `of` is how many it has. */
  readonly lines?: string;
  readonly of?: number;
}

const DEFAULT_BUDGET = 4000;

/**
 * The text at `path`, cut to `budget` tokens at a line's end. `file.md:12-31` is those lines. A folder is its
 * overview and a list of what is in it. `elsewhere` knows the
 * files of skills outside the hub. Throws `hub.missing`, `hub.archived`, `hub.path`, `hub.binary`.
 */
export function readHub(
  root: string,
  path: string,
  options: { budget?: number; elsewhere?: (path: string) => string | null } = {},
): HubText {
  const range = /^(.+?):(\d+)(?:-(\d+))?$/u.exec(path);
  const name = range ? range[1]! : path;
  const inHub = locate(root, name);
  const absolute = inHub.kind === "missing" ? options.elsewhere?.(inHub.path) : null;
  const place: Place = absolute ? { ...inHub, absolute, kind: "file" } : inHub;
  if (place.kind === "missing") throw missing(root, name, place.twin);
  const text = place.kind === "folder" ? describeFolder(place.absolute) : readText(place);
  return cutText(
    place.path,
    text,
    options.budget ?? DEFAULT_BUDGET,
    range ? [Number(range[2]), Number(range[3] ?? range[2])] : null,
  );
}

function cutText(path: string, text: string, budget: number, range: [number, number] | null): HubText {
  const all = text.split("\n");
  const total = text.endsWith("\n") ? all.length - 1 : all.length;
  const [first, last] = range ? [Math.max(1, range[0]), Math.min(range[1], total)] : [1, total];
  const wanted = range ? all.slice(first - 1, last).join("\n") : text;
  if (tokensOf(wanted) <= budget) {
    return {
      path,
      text: wanted,
      truncated: false,
      ...(range ? { lines: `${first}-${last}`, of: total } : {}),
    };
  }
  let end = first - 1;
  let bytes = 0;
  while (end < last) {
    const size = Buffer.byteLength(all[end]!) + 1;
    if (bytes + size > budget * 4) break;
    bytes += size;
    end++;
  }
  const kept = end >= first ? all.slice(first - 1, end).join("\n") : cutLine(all[first - 1]!, budget);
  return { path, text: kept, truncated: true, lines: `${first}-${Math.max(end, first)}`, of: total };
}

/** As much of one long line as fits, no character cut in two. */
const cutLine = (line: string, budget: number) =>
  Buffer.from(line)
    .subarray(0, budget * 4)
    .toString("utf8")
    .replace(/\uFFFD+$/u, "");

function describeFolder(folder: string): string {
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => !entry.name.startsWith("."));
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `- ${name}/ ${readAbstract(join(folder, name))}`);
  const files = entries
    .filter((entry) => entry.isFile() && entry.name !== "abstract.md" && entry.name !== "overview.md")
    .map(({ name }) => ({ name, ...sizeOf(join(folder, name)) }))
    .sort((a, b) => b.changed - a.changed)
    .map(({ name, tokens }) => `- ${name} (${tokens} tokens)`);
  let overview = readAbstract(folder);
  if (entries.some((entry) => entry.name === "overview.md")) {
    overview = readText({ path: "overview.md", absolute: join(folder, "overview.md") }).trimEnd();
  }
  const list = [...folders.sort(), ...files].map((line) => line.trimEnd());
  return `${overview}\n\nIn this folder${files.length > 1 ? ", newest first" : ""}:\n${list.join("\n") || "(nothing)"}\n`;
}

function sizeOf(file: string) {
  const { size, mtimeMs } = statSync(file);
  return { tokens: Math.ceil(size / 4), changed: mtimeMs };
}

function missing(root: string, path: string, twin: string | undefined): DaimonError {
  const known = twin ? ` There is "${twin}".` : "";
  const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  let next = "Search for it, or look at the map.";
  try {
    if (parent && locate(root, parent).kind === "folder") next = `See what is there: read "${parent}".`;
  } catch {}
  return new DaimonError("hub.missing", `There is no "${path}" in the hub.${known}`, next);
}
