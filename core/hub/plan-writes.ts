import { isUtf8 } from "node:buffer";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DaimonError } from "../base/errors.ts";
import { type Author, type Blob, blobId, commitMessage, type NewCommit } from "./commits.ts";
import { markNote } from "./front-matter.ts";
import { cleanPath, foldName, locate, type Place, refuseArchive, refuseIdentity } from "./paths.ts";

/** One write that is asked for. */
export interface Change {
  readonly mode: "create" | "append";
  readonly path: string;
  readonly text: string;
  readonly why: string;
  readonly author: Author;
}

/** A commit to be made, and by what it is known again. */
export interface Planned extends NewCommit {
  /** What stands in the file when it was written. */
  readonly added: string;
  /** Which change it carries out; null for the owner's own edits, committed before. */
  readonly change: number | null;
}

/** Most bytes of a file that is written here. */
const MOST_BYTES = 512 * 1024;

/** Refuses what needs no look at the disk. Throws `hub.path`, `hub.archived`, `hub.identity`, `hub.text`. */
export function checkChange({ path, text, author }: Change): void {
  const clean = cleanPath(path);
  refuseArchive(clean);
  if (byAgent(author)) refuseIdentity(clean);
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new DaimonError("hub.text", `The text for "${path}" is not plain Unicode text.`, "The hub keeps Markdown.");
  }
}

const byAgent = ({ agent, label, approved }: Author) =>
  !approved && (agent !== undefined || label?.integrity === "untrusted");
const marked = ({ label }: Author) => label?.integrity === "untrusted" || label?.privacy === "secret";

/**
 * What is to be committed and written for `changes`, in order, each seeing the ones before it. Reads the files,
 * writes nothing. An owner's uncommitted edits of a file come first, as a commit of their own.
 */
export function planWrites(
  options: Known & { changes: readonly Change[]; blobs: ReadonlyMap<string, Blob>; time: number },
) {
  const { changes, blobs, time } = options;
  const commits: Planned[] = [];
  const refused: { index: number; error: unknown }[] = [];
  const texts = new Map<string, { absolute: string; text: string }>();
  const names = new Map<string, string>();
  changes.forEach((change, index) => {
    try {
      const place = placeFor(change, options);
      refuseTwin(place, names);
      const before = texts.get(place.path)?.text ?? (place.kind === "file" ? readText(place) : null);
      const { after, added } = apply(change, place.path, before);
      const blob = blobs.get(place.path);
      const common = { path: place.path, mode: blob?.mode ?? "100644", time };
      if (before !== null && !texts.has(place.path) && blobId(before, blob?.id.length ?? 40) !== blob?.id) {
        const message = `Hand edits in ${place.path}\n`;
        commits.push({ ...common, text: before, added: before, message, by: "Owner", change: null });
      }
      const message = commitMessage(change.why, place.path, change.author);
      commits.push({ ...common, text: after, added, message, by: "Daimon", change: index });
      texts.set(place.path, { absolute: place.absolute, text: after });
    } catch (error) {
      refused.push({ index, error });
    }
  });
  return { commits, refused, files: [...texts.values()] };
}

type Known = { root: string; ignored: ReadonlySet<string>; tags: ReadonlyMap<string, string> };

function placeFor(change: Change, { root, ignored, tags }: Known): Place {
  const place = locate(root, change.path);
  if (byAgent(change.author)) refuseIdentity(place.path);
  if (marked(change.author) && !place.path.toLowerCase().endsWith(".md")) {
    throw new DaimonError(
      "hub.label",
      `"${place.path}" would hold untrusted or secret content, and only a Markdown note can say so of itself.`,
      "Give it a name that ends in .md.",
    );
  }
  if (place.kind === "folder") {
    throw new DaimonError("hub.path", `"${place.path}" is a folder.`, "Name a file in it.");
  }
  const left = `"${place.path}" is left out of the hub's history by .gitignore.`;
  if (ignored.has(place.path)) throw new DaimonError("hub.ignored", left, "Choose another path.");
  const tag = tags.get(place.path); // git ls-files -t: M is unmerged, S is not checked out
  if (tag === "M" || (tag === "S" && place.kind === "missing")) {
    throw new DaimonError(
      "hub.unmerged",
      `"${place.path}" ${tag === "M" ? "has a merge conflict" : "is left out of the sparse checkout"}.`,
      "Put that right in git and try again, or choose another path.",
    );
  }
  return place;
}

/** Throws `hub.collision` for a name that some file systems take for another one that is there. */
function refuseTwin(place: Place, names: Map<string, string>): void {
  const prefixes = place.path.split("/").map((_, index, all) => all.slice(0, index + 1).join("/"));
  const taken = prefixes
    .map((prefix) => names.get(foldName(prefix)))
    .find((name, index) => name && name !== prefixes[index]);
  const twin = place.twin ?? taken;
  if (twin) {
    throw new DaimonError(
      "hub.collision",
      `"${place.path}" differs from "${twin}", which is there, only in case or accents' encoding.`,
      `Use the name that is there, "${twin}", or a clearly different one.`,
    );
  }
  for (const prefix of prefixes) names.set(foldName(prefix), prefix);
}

function apply(change: Change, path: string, before: string | null) {
  const added = change.text.endsWith("\n") ? change.text : `${change.text}\n`;
  if (change.mode === "create" && before !== null) {
    const message = `"${path}" is there already, and nothing is overwritten.`;
    throw new DaimonError("hub.exists", message, "Append to it, or choose another name.");
  }
  const gap = before === null || before === "" || before.endsWith("\n") ? "" : "\n";
  const joined = (before ?? "") + gap + added;
  const after = marked(change.author) ? markNote(joined, change.author.label!) : joined;
  const bytes = Buffer.byteLength(after);
  if (bytes > MOST_BYTES) {
    const message = `"${path}" would have ${bytes} bytes; a file of the hub has at most ${MOST_BYTES}.`;
    throw new DaimonError("hub.size", message, "Split it into several files.");
  }
  // A create's front matter may have been marked: it is known again by the whole file.
  return { after, added: change.mode === "create" ? after : added };
}

/** The text of a file. Throws `hub.binary` when it is not UTF-8. */
export function readText(place: { path: string; absolute: string }): string {
  const bytes = readFileSync(place.absolute);
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString("utf8");
  const message = `"${place.path}" is not a text file.`;
  throw new DaimonError("hub.binary", message, "The hub's tools read and write text only.");
}

/** Puts `text` in the place of the file in one instant, by way of `<own>/new`; its mode stays. */
export function replaceFile(own: string, absolute: string, text: string): void {
  const old = statSync(absolute, { throwIfNoEntry: false });
  if (!old) mkdirSync(dirname(absolute), { recursive: true });
  const put = (draft: string) => {
    rmSync(draft, { force: true });
    writeFileSync(draft, text);
    if (old) chmodSync(draft, old.mode);
    renameSync(draft, absolute);
  };
  try {
    put(join(own, "new"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    put(join(dirname(absolute), ".daimon-new")); // git's folder is on another disk
  }
}
