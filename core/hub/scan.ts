import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Most bytes of a file that is indexed. */
const MOST_BYTES = 2 * 1024 * 1024;
const TEXT = /\.(md|markdown|txt)$/iu;
/** Navigation and rules: the map and the prompt carry them. */
const LEFT_OUT = new Set(["abstract.md", "AGENTS.md", "CLAUDE.md"]);

export interface Scanned {
  /** Modification time in ms. */
  readonly changed: number;
  readonly size: number;
}

/** Every text of the hub that may be found: all but archive/, dot files, links and what is too large. */
export function scanTexts(root: string): Map<string, Scanned> {
  const found = new Map<string, Scanned>();
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const { name } = entry;
      if (name.startsWith(".") || name === "node_modules") continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      if (entry.isDirectory()) {
        if (path.toLowerCase() !== "archive") visit(path);
      } else {
        const scanned = look(root, path);
        if (scanned) found.set(path, scanned);
      }
    }
  };
  visit("");
  return found;
}

/** The file's time and size; null when it is gone or not for the index. */
export function look(root: string, path: string): Scanned | null {
  if (!TEXT.test(path) || LEFT_OUT.has(path.slice(path.lastIndexOf("/") + 1))) return null;
  const found = lstatSync(join(root, path), { throwIfNoEntry: false });
  if (!found?.isFile() || found.size > MOST_BYTES) return null;
  return { changed: found.mtimeMs, size: found.size };
}
