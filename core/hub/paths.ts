import { type Dirent, existsSync, lstatSync, readdirSync, realpathSync, type Stats } from "node:fs";
import { join, relative, sep } from "node:path";
import { DaimonError } from "../base/errors.ts";

/** Where a path of the hub leads to on the disk. */
export interface Place {
  /** Relative to the hub, with `/`, as the names stand on the disk, links resolved. */
  readonly path: string;
  readonly absolute: string;
  readonly kind: "file" | "folder" | "missing";
  /** A name beside it that differs only in case or in how its letters are composed. */
  readonly twin: string | undefined;
}

/** What some file system refuses, and what no eye tells apart from nothing: another name would look the same. */
const FORBIDDEN = /[<>:"|?*\\\p{Cc}\p{Bidi_Control}\u200b\u2060\ufeff]/u;
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/iu;
const MOST_NAME_BYTES = 120;
const MOST_PATH_BYTES = 1000;

/** The path in its one right form. Throws `hub.path` with the reason for one that is unsafe or not portable. */
export function cleanPath(path: string): string {
  const clean = path
    .normalize("NFC")
    .replace(/^(\.\/)+/, "")
    .replace(/\/+$/, "");
  if (clean.startsWith("/") || /^[a-z]:/iu.test(clean)) throw badPath(path, "it is absolute");
  if (!clean.isWellFormed()) throw badPath(path, "it is not valid Unicode");
  if (Buffer.byteLength(clean) > MOST_PATH_BYTES) throw badPath(path, "it is too long");
  for (const name of clean.split("/")) {
    const reason = badName(name);
    if (reason) throw badPath(path, reason);
  }
  return clean;
}

function badName(name: string): string | null {
  if (name === "") return "it has an empty name in it";
  if (name === "..") return "it leads upwards";
  if (/^(\u200c|\u200d)*\./u.test(name)) return `"${name}" begins with a dot, and such files are the owner's`;
  const forbidden = FORBIDDEN.exec(name);
  if (forbidden) return `${JSON.stringify(forbidden[0])} cannot stand in a file name everywhere`;
  if (/[. ]$/u.test(name) || name.startsWith(" ")) return `"${name}" begins or ends with a space or dot`;
  if (/^git~\d/iu.test(name)) return `"${name}" is what Windows calls .git, and git takes no such name`;
  if (DEVICE.test(name)) return `"${name}" is the name of a device on Windows`;
  if (Buffer.byteLength(name) > MOST_NAME_BYTES)
    return `"${name.slice(0, 20)}…" is longer than ${MOST_NAME_BYTES} bytes`;
  return null;
}

/** Finds where `path` leads. Throws `hub.path` when a link leads out of the hub, `hub.archived` for archive/. */
export function locate(root: string, path: string): Place {
  const clean = cleanPath(path);
  refuseArchive(clean);
  const realRoot = realpathSync(root);
  let at = realRoot;
  let kind: Found["kind"] = "folder";
  let twin: string | undefined;
  for (const name of clean.split("/")) {
    if (kind === "file") throw badPath(path, `"${slashed(relative(realRoot, at))}" is a file, not a folder`);
    const found: Found = kind === "missing" ? { name, kind } : findName(at, name);
    at = join(at, found.name);
    kind = found.kind;
    twin ??= found.twin;
    if (kind === "link") {
      at = followLink(at, realRoot, path);
      kind = lstatSync(at).isDirectory() ? "folder" : "file";
    }
  }
  const real = slashed(relative(realRoot, at));
  if (real !== clean) {
    cleanPath(real);
    refuseArchive(real);
  }
  return { path: real, absolute: at, kind, twin };
}

interface Found {
  readonly name: string;
  readonly kind: Place["kind"] | "link";
  readonly twin?: string;
}

/** The entry called `name`, also when the disk writes its letters otherwise. */
function findName(folder: string, name: string): Found {
  const kindOf = (entry: Stats | Dirent) => (entry.isSymbolicLink() ? "link" : entry.isDirectory() ? "folder" : "file");
  const exact = lstatSync(join(folder, name), { throwIfNoEntry: false });
  if (exact) return { name, kind: kindOf(exact) };
  const others = readdirSync(folder, { withFileTypes: true });
  const same = others.find((entry) => entry.name.normalize("NFC") === name);
  if (same) return { name: same.name, kind: kindOf(same) };
  const twin = others.find((entry) => foldName(entry.name) === foldName(name));
  return { name, kind: "missing", ...(twin ? { twin: twin.name } : {}) };
}

/** Equal for names that some file system takes for one. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase().normalize("NFC");
}

function followLink(link: string, realRoot: string, path: string): string {
  if (!existsSync(link)) throw badPath(path, "it is a link that leads nowhere");
  const real = realpathSync(link);
  if (real === realRoot || real.startsWith(realRoot + sep)) return real;
  throw badPath(path, "it is a link that leads out of the hub");
}

/** Throws `hub.archived` for archive/ and what stands in it: nothing that works for the owner looks there. */
export function refuseArchive(path: string): void {
  if (foldName(path.split("/")[0]!) !== "archive") return;
  const next = "Ask the owner to move it back into areas/, projects/ or knowledge/ if it is needed again.";
  throw new DaimonError("hub.archived", `"${path}" is in archive/, which agents neither read nor write.`, next);
}

/** Throws `hub.identity` for what steers agents: identity/, skills/, AGENTS.md and CLAUDE.md. */
export function refuseIdentity(path: string): void {
  const names = path.split("/").map(foldName);
  const steers = names[0] === "identity" || names[0] === "skills";
  if (!steers && names.at(-1) !== "agents.md" && names.at(-1) !== "claude.md") return;
  throw new DaimonError(
    "hub.identity",
    `"${path}" says who Daimon is and how agents behave; only the owner changes it.`,
    `Propose it instead: write inbox/proposals/${names.at(-1)} with the new text and the reason.`,
  );
}

const slashed = (path: string) => (sep === "/" ? path : path.split(sep).join("/"));

function badPath(path: string, reason: string): DaimonError {
  return new DaimonError(
    "hub.path",
    `${JSON.stringify(path.slice(0, 200))} is no path of the hub: ${reason}.`,
    "Give a path relative to the hub, such as areas/health/2026-plan.md.",
  );
}
