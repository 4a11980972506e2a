import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
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
export async function findStep(
  root: string,
  author: Author,
): Promise<{ path: string; commit: string } | null> {
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

/** The branch that HEAD names. Throws `hub.detached` when it names none, as in the middle of a rebase. */
export async function currentBranch(root: string, gitFolder: string): Promise<string> {
  let named = /^ref: (.+)$/m.exec(readFileSync(join(gitFolder, "HEAD"), "utf8"))?.[1]?.trim();
  if (named?.endsWith(".invalid")) named = (await git(root, ["symbolic-ref", "HEAD"])).trim(); // reftable
  if (named) return named;
  throw new DaimonError(
    "hub.detached",
    "The hub's repository stands on no branch: a rebase or a checkout of an old commit is under way.",
    `Finish it, or go back: git -C ${root} switch main`,
  );
}

/** Mode and blob id of each of `paths` in HEAD, and those that .gitignore leaves out. */
export async function lookUp(root: string, paths: readonly string[]) {
  const list = `${paths.join("\0")}\0`;
  const [tree, ignored] = await Promise.all([
    git(root, ["ls-tree", "-z", "HEAD", "--", ...paths]).catch(() => ""),
    git(root, ["check-ignore", "-z", "--stdin"], list).catch(() => ""),
  ]);
  const blobs = new Map<string, Blob>();
  for (const entry of tree.split("\0")) {
    const found = /^(\d+) blob ([0-9a-f]+)\t(.*)$/su.exec(entry);
    if (found) blobs.set(found[3]!, { path: found[3]!, mode: found[1]!, id: found[2]! });
  }
  return { blobs, ignored: new Set(ignored.split("\0").filter((path) => path !== "")) };
}

/**
 * Makes the commits in this order, all or none, on top of `branch`, from their exact bytes: neither the work tree
 * nor the index is read, so what the owner is editing or has staged stays as it is. Returns the commits' ids.
 */
export async function makeCommits(options: {
  root: string;
  gitFolder: string;
  branch: string;
  onTop: boolean;
  commits: readonly NewCommit[];
}): Promise<string[]> {
  const { root, gitFolder, branch, commits } = options;
  const stream: (string | Buffer)[] = [];
  commits.forEach((commit, index) => {
    const message = Buffer.from(commit.message);
    const text = Buffer.from(commit.text);
    const who = `${commit.by} <${commit.by.toLowerCase()}@localhost> ${commit.time} +0000`;
    stream.push(`commit ${branch}\nmark :${index + 1}\nauthor ${who}\ncommitter ${who}\n`);
    stream.push(`data ${message.length}\n`, message, "\n");
    if (index === 0 && options.onTop) stream.push(`from ${branch}^0\n`);
    stream.push(`M ${commit.mode} inline ${commit.path}\ndata ${text.length}\n`, text, "\n");
  });
  commits.forEach((_, index) => {
    stream.push(`get-mark :${index + 1}\n`);
  });
  stream.push("done\n");
  const bytes = Buffer.concat(stream.map((piece) => Buffer.from(piece)));
  const answer = await pastLocks(gitFolder, () =>
    git(root, ["fast-import", "--quiet", "--done", "--date-format=raw"], bytes),
  );
  return answer.trim().split("\n");
}

/** A file as it stands in a tree. */
export interface Blob {
  readonly path: string;
  readonly mode: string;
  readonly id: string;
}

/** The id git gives to `text`, in a repository whose ids have `digits` hexadecimal digits. */
export function blobId(text: string | Buffer, digits: number): string {
  const hash = createHash(digits === 64 ? "sha256" : "sha1");
  return hash
    .update(`blob ${Buffer.byteLength(text)}\0`)
    .update(text)
    .digest("hex");
}

/** Sets the index to `blobs` for their paths alone. False when another git holds the index for seconds. */
export async function updateIndex(root: string, blobs: readonly Blob[]): Promise<boolean> {
  const lines = blobs.map(({ path, mode, id }) => `${mode} ${id}\t${path}\0`).join("");
  for (let wait = 10; wait < 3000; wait *= 2) {
    try {
      await git(root, ["update-index", "-z", "--index-info"], lines);
      return true;
    } catch (error) {
      if (!String(error).includes("index.lock")) throw error;
      await pause(wait * (0.5 + Math.random()));
    }
  }
  return false;
}

/** Tries again while another git holds a ref; a ref's lock older than ten seconds was left by one that died. */
async function pastLocks<Result>(gitFolder: string, work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const lock = /'([^']+\.lock)'/.exec(String(error))?.[1];
      const moved = /Not updating/.test(String(error));
      if (tries > 8 || !(lock || moved)) throw error;
      const age = lock && existsSync(lock) ? Date.now() - statSync(lock).mtimeMs : 0;
      if (lock?.startsWith(join(gitFolder, "refs")) && age > 10_000) rmSync(lock, { force: true });
      await pause(20 * 2 ** tries * Math.random());
    }
  }
}
