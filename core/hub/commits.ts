import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { DaimonError } from "../base/errors.ts";
import { type Label, OWNER } from "../define/label.ts";
import { git } from "./git.ts";

/** Who writes, and in which step of which run: the trailers of the commit. */
export interface Author {
  readonly agent?: string | undefined;
  readonly runId?: string | undefined;
  readonly eventId?: string | undefined;
  readonly step?: string | undefined;
  /** How far the run that writes is to be trusted: the join of all it has read. Default: the owner's own words. */
  readonly label?: Label | undefined;
  /** True when a person approved exactly this change: then it may be one of what steers agents. */
  readonly approved?: boolean | undefined;
}

/** One commit to be made: one file with exactly these bytes. */
export interface NewCommit {
  readonly path: string;
  readonly mode: string;
  readonly text: string;
  readonly message: string;
  readonly by: "Daimon" | "Owner";
  /** Unix seconds. */
  readonly time: number;
}

/** How many commits back a step's own commit is looked for. */
const RECENT = 1000;

/** The commit's message: `why` on its first line, then the trailers. No value can forge another line. */
export function commitMessage(why: string, path: string, author: Author): string {
  const { integrity, privacy } = author.label ?? OWNER;
  const trailers = [
    ["Run", author.runId],
    ["Agent", author.agent],
    ["Event", author.eventId],
    ["Step", author.step],
    ["Label", integrity === "untrusted" || privacy === "secret" ? `${integrity} ${privacy}` : undefined],
  ].flatMap(([name, value]) => (value ? [`${name}: ${oneLine(value)}`] : []));
  const subject = oneLine(why).slice(0, 200) || `Write ${path}`;
  return `${[subject, ...(trailers.length > 0 ? ["", ...trailers] : [])].join("\n")}\n`;
}

const oneLine = (text: string) => text.replace(/[\s\p{Cc}]+/gu, " ").trim();

/** The newest commit that carries this author's `Step:` and `Run:` trailers, with the path it wrote. */
export async function findStep(root: string, author: Author): Promise<{ path: string; commit: string } | null> {
  if (!author.step) return null;
  const only = (key: string) => `%(trailers:key=${key},valueonly,separator=%x00)`;
  const format = `--format=%H%x00%x00${only("Step")}%x00%x00${only("Run")}`;
  const log = await git(root, ["log", `-${RECENT}`, format]).catch(() => "");
  for (const line of log.split("\n")) {
    const [commit, step, run] = line.split("\0\0");
    if (step !== oneLine(author.step) || (author.runId && run !== oneLine(author.runId))) continue;
    const names = await git(root, ["show", "-z", "--name-only", "--format=", commit!]);
    return { path: names.split("\0").find((name) => name !== "") ?? "", commit: commit! };
  }
  return null;
}

/** Mode and blob id of each of `paths` in HEAD; those that .gitignore leaves out, and git's tag of each in the index. */
export async function lookUp(root: string, paths: readonly string[]) {
  const list = `${paths.join("\0")}\0`;
  const [tree, ignored, index] = await Promise.all([
    git(root, ["ls-tree", "-z", "HEAD", "--", ...paths]).catch(() => ""),
    git(root, ["check-ignore", "-z", "--stdin"], list).catch(() => ""),
    git(root, ["--literal-pathspecs", "ls-files", "-z", "-t", "--cached", "--", ...paths]).catch(() => ""),
  ]);
  const tags = new Map(index.split("\0").map((entry) => [entry.slice(2), entry[0]!]));
  const blobs = new Map<string, Blob>();
  for (const entry of tree.split("\0")) {
    const found = /^(\d+) blob ([0-9a-f]+)\t(.*)$/su.exec(entry);
    if (found) blobs.set(found[3]!, { path: found[3]!, mode: found[1]!, id: found[2]! });
  }
  return { blobs, ignored: new Set(ignored.split("\0").filter((path) => path !== "")), tags };
}

/**
 * Makes the commits in this order, all or none, on `base`, from their exact bytes: neither the work tree nor the
 * index is read, so what the owner is editing or has staged stays as it is. Returns the commits' ids. Throws
 * `hub.moved` when the branch does not stand on `base` any more.
 */
export async function makeCommits(
  root: string,
  { base, branch }: { base: string; branch: string },
  commits: readonly NewCommit[],
): Promise<string[]> {
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  const made = commits.map(({ by, time, message, mode, path, text }, index) => {
    const who = `${by} <${by.toLowerCase()}@localhost> ${time} +0000`;
    const head = `commit ${branch}\nmark :${index + 1}\nauthor ${who}\ncommitter ${who}\n${data(message)}`;
    return `${head}${index === 0 ? `from ${base}\n` : ""}M ${mode} inline ${path}\n${data(text)}`;
  });
  const asked = commits.map((_, index) => `get-mark :${index + 1}\n`);
  const stream = [...made, ...asked, "done\n"].join("");
  const answer = await pastLocks(() => git(root, ["fast-import", "--quiet", "--done", "--date-format=raw"], stream));
  return answer.trim().split("\n");
}

/** The commits made since `base` that carry these messages, in order; null for one that is not there. */
export async function findMade(root: string, base: string, commits: readonly NewCommit[]) {
  const log = await git(root, ["log", "-z", "--reverse", "--format=%H%n%B", `${base}..HEAD`]).catch(() => "");
  const made = log
    .split("\0")
    .map((entry) => ({ id: entry.split("\n", 1)[0]!, message: entry.slice(entry.indexOf("\n")).trim() }));
  return commits.map(({ message }) => {
    const at = made.findIndex((one) => one.message === message.trim());
    return at < 0 ? null : made.splice(at, 1)[0]!.id;
  });
}

/** A file as it stands in a tree. */
export interface Blob {
  readonly path: string;
  readonly mode: string;
  readonly id: string;
}

/** The id git gives to `text`, in a repository whose ids have `digits` hexadecimal digits. */
export function blobId(text: string, digits: number): string {
  const hash = createHash(digits === 64 ? "sha256" : "sha1");
  return hash.update(`blob ${Buffer.byteLength(text)}\0${text}`).digest("hex");
}

/** Git's own lock on the index: while it is held, no other git changes the index or the files. */
export interface HeldIndex {
  /** Makes `blobs` stand at their paths in the index, whatever else is staged. */
  bring(blobs: readonly Blob[]): Promise<true>;
  release(): void;
}

/**
 * Takes the index's lock; null when another git holds it for longer than a moment. The lock is a link to a file in
 * `own`, where one Daimon works at a time: by that one which a crash left is known, and taken over.
 */
export async function holdIndex(root: string, gitFolder: string, own: string): Promise<HeldIndex | null> {
  const index = join(gitFolder, "index");
  const lock = `${index}.lock`;
  const [holder, draft] = [join(own, "holder"), join(own, "index")];
  writeFileSync(holder, HOLDER);
  for (let wait = 10; !tryLock(holder, lock); wait *= 2) {
    if (wait > 500) return null;
    await pause(wait * (0.5 + Math.random()));
  }
  return {
    async bring(blobs) {
      for (const left of [draft, `${draft}.lock`]) rmSync(left, { force: true });
      const before = statSync(index, { throwIfNoEntry: false });
      if (before) {
        copyFileSync(index, draft);
        utimesSync(draft, before.atime, before.mtime); // git judges by it which entries to look at again
      }
      const lines = blobs.map(({ path, mode, id }) => `${mode} ${id}\t${path}\0`).join("");
      await git(root, ["update-index", "-z", "--index-info"], lines, { GIT_INDEX_FILE: draft });
      renameSync(draft, index);
      return true;
    },
    release: () => rmSync(lock, { force: true }),
  };
}

const HOLDER = "Daimon is writing.\n";

/** False when another git's lock stands there. */
function tryLock(holder: string, lock: string): boolean {
  try {
    if (existsSync(lock)) return readFileSync(lock, "utf8") === HOLDER;
    linkSync(holder, lock);
  } catch (error) {
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code!)) return false;
    copyFileSync(holder, lock, constants.COPYFILE_EXCL); // a disk without links
  }
  return true;
}

/** Tries again while another git holds a ref; a ref's lock older than two seconds was left by one that died. */
async function pastLocks<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (/Not updating|is at [0-9a-f]+ but expected/u.test(String(error))) {
        throw new DaimonError("hub.moved", "Another git has committed to the hub meanwhile.", "Try again.");
      }
      const lock = /'([^']+(?:HEAD|\/refs\/[^']+)\.lock)'/u.exec(String(error))?.[1];
      if (!lock || tries > 8) throw error;
      const held = statSync(lock, { throwIfNoEntry: false });
      if (held && Date.now() - held.mtimeMs > 2000) rmSync(lock, { force: true });
      await pause(20 * 2 ** tries * Math.random());
    }
  }
}
