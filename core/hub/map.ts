import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DaimonError } from "../base/errors.ts";
import type { HubAccess } from "../define/context.ts";
import { labelOfFile, noteLabel, splitNote } from "./front-matter.ts";
import { locate } from "./paths.ts";

interface Folder {
  readonly path: string;
  readonly depth: number;
  readonly abstract: string;
  /** False for a folder with nothing in it but what strangers sent: its very name may be theirs. */
  readonly known: boolean;
  /** When an entry of it was last added or taken away, in ms. */
  readonly touched: number;
  readonly children: Folder[];
  /** Folders below it, at any depth. */
  readonly below: number;
}

const MOST_DEPTH = 12;
const FILES_LOOKED_AT = 8;
/** One line each: archive/ is not looked into, and the skills stand in a list of their own. */
const CLOSED = new Set(["archive", "skills"]);

/** Tokens of a text by the estimate used everywhere in the house: bytes / 4. */
const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4);

type MapOptions = NonNullable<Parameters<HubAccess["map"]>[0]>;

/** Draws the map again when what it costs has been paid off twenty times, or after `forget`. */
export function openMap(root: string) {
  const drawn = new Map<string, { at: number; cost: number; map: { text: string; tokens: number } }>();
  return {
    draw(options: MapOptions) {
      const key = `${options.budget} ${options.under}`;
      const known = drawn.get(key);
      const at = performance.now();
      if (known && at - known.at < known.cost * 20) return known.map;
      const map = drawMap(root, options);
      drawn.set(key, { at, cost: performance.now() - at, map });
      return map;
    },
    forget: () => drawn.clear(),
  };
}

/**
 * The folders with their one-line abstracts, indented by depth, in at most `budget` tokens: those of the first
 * depth always, then as many deeper ones as fit, shallow and lately touched ones first; the rest is counted.
 * It stands in every prompt, so nothing of it is secret or a stranger's: neither an abstract nor a folder's name.
 */
function drawMap(root: string, options: MapOptions) {
  const budget = options.budget ?? 2000;
  const top = scan(root, options.under);
  const order = flatten(top.children)
    .filter((folder) => folder.depth > 1)
    .sort((a, b) => a.depth - b.depth || b.touched - a.touched || (a.path < b.path ? -1 : 1));
  const draw = (count: number, width: number) =>
    render(top, new Set(order.slice(0, count).map((folder) => folder.path)), width, options.under);
  const fits = (count: number, width: number) => tokensOf(draw(count, width)) <= budget;
  // An abstract is cut a little rather than a folder left out, a folder left out rather than an abstract cut much.
  const whole = [200, 60, 40].find((width) => fits(order.length, width));
  const width = whole ?? [60, 30].find((narrow) => fits(0, narrow)) ?? 0;
  const count = whole ? order.length : mostThatFit(order.length, (count) => fits(count, width));
  const lines = draw(count, width).split("\n");
  while (tokensOf(lines.join("\n")) > budget && lines.length > 1) lines.splice(-2, 2, "…");
  const text = lines.join("\n");
  return { text, tokens: tokensOf(text) };
}

/** The largest count from 0 to `most` that fits, found by halving. */
function mostThatFit(most: number, fits: (count: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function scan(root: string, under: string | undefined): Folder {
  if (!under) return scanFolder(root, "", 0);
  const place = locate(root, under);
  if (place.kind === "folder") return scanFolder(root, place.path, 0);
  throw new DaimonError("hub.missing", `There is no folder "${under}" in the hub.`, "Look at the whole map.");
}

function scanFolder(root: string, path: string, depth: number): Folder {
  const absolute = join(root, path);
  const inside = !CLOSED.has(path) && depth < MOST_DEPTH;
  const entries = inside ? readdirSync(absolute, { withFileTypes: true }) : [];
  const children = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules")
    .map((entry) => scanFolder(root, path === "" ? entry.name : `${path}/${entry.name}`, depth + 1))
    .filter((child) => child.known)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const abstract = readAbstract(absolute);
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith("."));
  return {
    path,
    depth,
    abstract,
    known: path === "" || CLOSED.has(path) || abstract !== "" || children.length > 0 || holdsTrusted(absolute, files),
    touched: statSync(absolute).mtimeMs,
    children,
    below: children.reduce((sum, child) => sum + 1 + child.below, 0),
  };
}

/** Whether one of the folder's first files is not a stranger's. */
const holdsTrusted = (folder: string, files: readonly { name: string }[]) =>
  files.slice(0, FILES_LOOKED_AT).some(({ name }) => labelOfFile(join(folder, name)).integrity === "trusted");

/** Whether a folder's name is not a stranger's, as far as what stands in it tells. */
export const isKnown = (root: string, path: string): boolean => scanFolder(root, path, 1).known;

/** The first line of a folder's abstract.md (or `.abstract.md`), without heading marks; not a stranger's, not a secret one, and no link's. */
export function readAbstract(folder: string): string {
  for (const name of ["abstract.md", ".abstract.md"]) {
    try {
      if (!lstatSync(join(folder, name)).isFile()) return "";
      const text = readFileSync(join(folder, name), "utf8");
      const { integrity, privacy } = noteLabel(text);
      if (integrity === "untrusted" || privacy === "secret") return "";
      const line = /\S.*/u.exec(splitNote(text).body)?.[0] ?? "";
      return line.replace(/^#+\s*/u, "").trim();
    } catch {}
  }
  return "";
}

const flatten = (folders: readonly Folder[]): Folder[] =>
  folders.flatMap((folder) => [folder, ...flatten(folder.children)]);

function render(top: Folder, shown: ReadonlySet<string>, width: number, under: string | undefined): string {
  const lines: string[] = under ? [`${top.path}/ ${cut(top.abstract, width)}`.trimEnd()] : [];
  const visit = (folder: Folder, indent: string) => {
    for (const child of folder.children) {
      if (child.depth > 1 && !shown.has(child.path)) continue;
      const name = child.path.slice(child.path.lastIndexOf("/") + 1);
      lines.push(`${indent}${name}/ ${cut(child.abstract, width)}`.trimEnd());
      visit(child, `${indent} `);
    }
    const hidden = folder.children.filter((child) => child.depth > 1 && !shown.has(child.path));
    if (hidden.length === 0) return;
    const count = hidden.reduce((sum, child) => sum + 1 + child.below, 0);
    lines.push(`${indent}… +${count} folders (hub_map under=${folder.path})`);
  };
  visit(top, under ? " " : "");
  return lines.join("\n");
}

const cut = (text: string, width: number) =>
  text.length <= width ? text : width === 0 ? "" : `${text.slice(0, width - 1).trimEnd()}…`;
