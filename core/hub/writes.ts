import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { type Author, type Blob, blobId, findMade, findStep, lookUp, makeCommits, updateIndex } from "./commits.ts";
import { git, gitFolder, head } from "./git.ts";
import { locked } from "./lock.ts";
import { locate } from "./paths.ts";
import { type Change, checkChange, type Planned, planWrites, readText, replaceFile } from "./plan-writes.ts";

export interface Written {
  readonly path: string;
  readonly commit: string;
}

/** How the hub is written: each change one commit, in turn, whoever else writes at the same time. */
export interface Writes {
  write(change: Change): Promise<Written>;
  /** The commit that a step has made already; what a crash left unfinished is finished first. */
  written(author: Author): Promise<Written | null>;
  /** Finishes what a crash left. */
  recover(): Promise<void>;
  /** Resolves when nothing is being written. */
  idle(): Promise<void>;
}

interface Asked extends Change {
  readonly done: (written: Written) => void;
  readonly failed: (error: unknown) => void;
}

/** What is about to be done, kept in `.git/daimon/` until it is: what a crash leaves is finished from it. */
interface Intent {
  readonly base: string | null;
  readonly commits: readonly Planned[];
}

const MOST_AT_ONCE = 64;
const COMMITS_BETWEEN_TIDYING = 500;

/** Writes into the repository at `root`; starts nothing before the first write. */
export function openWrites(options: { root: string; clock: Clock; log: Log }): Writes {
  const { root, clock, log } = options;
  const folder = gitFolder(root)!;
  const own = join(folder, "daimon");
  const intentFile = join(own, "intent.json");
  const unindexedFile = join(own, "unindexed.json");
  const queue: Asked[] = [];
  let working: Promise<void> | null = null;
  let untidied = 0;
  mkdirSync(own, { recursive: true });

  const exclusively = <Result>(work: () => Promise<Result>) =>
    locked(join(own, "lock"), async () => {
      await finishIntent();
      return work();
    });

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      let batch: Asked[] = [];
      try {
        await exclusively(async () => {
          batch = queue.splice(0, MOST_AT_ONCE);
          await carryOut(batch);
        });
      } catch (error) {
        for (const asked of batch.length > 0 ? batch : queue.splice(0)) asked.failed(error);
      }
      if (untidied >= COMMITS_BETWEEN_TIDYING) await tidy();
    }
    working = null; // in the same breath as the last look at the queue: nothing asked since is forgotten
  }

  async function carryOut(batch: readonly Asked[]): Promise<void> {
    const open = await answerRepeated(batch);
    if (open.length === 0) return;
    const paths = open.map((asked) => locate(root, asked.path).path);
    const [base, known] = await Promise.all([head(root, folder), lookUp(root, paths)]);
    // Nothing awaits from the reading to the renames: an owner's save cannot come in between and be lost.
    const time = Math.floor(clock.now().getTime() / 1000);
    const plan = planWrites({ root, changes: open, ...known, time });
    for (const { change, error } of plan.refused) (change as Asked).failed(error);
    if (plan.commits.length === 0) return;
    const intent: Intent = { base, commits: plan.commits };
    replaceFile(own, intentFile, JSON.stringify(intent));
    for (const [absolute, text] of plan.files) replaceFile(own, absolute, text);
    const ids = await commit(intent);
    rmSync(intentFile);
    plan.commits.forEach(({ path, change }, index) => {
      if (change !== null) (open[change] as Asked).done({ path, commit: ids[index]! });
    });
  }

  /** Those that are not done yet; a step whose commit exists is answered with it, not done twice. */
  async function answerRepeated(batch: readonly Asked[]): Promise<Asked[]> {
    const open: Asked[] = [];
    for (const asked of batch) {
      try {
        const place = locate(root, asked.path);
        const suspect =
          asked.author.step !== undefined &&
          place.kind === "file" &&
          (asked.mode === "create" || readText(place).includes(asked.text.trim()));
        const earlier = suspect ? await findStep(root, asked.author) : null;
        if (earlier) asked.done(earlier);
        else open.push(asked);
      } catch (error) {
        asked.failed(error);
      }
    }
    return open;
  }

  /**
   * Makes the intent's commits once, whoever else commits meanwhile: a git that outlived the process which started
   * it may have made them already, or be about to.
   */
  async function commit({ base, commits }: Intent): Promise<string[]> {
    for (let tries = 1; ; tries++) {
      const now = await head(root, folder);
      const made = now === base ? [] : await findMade(root, base, commits);
      if (made.some((id) => id !== null)) {
        await index([
          ...(
            await lookUp(
              root,
              commits.map(({ path }) => path),
            )
          ).blobs.values(),
        ]);
        return made.map((id) => id ?? now!);
      }
      try {
        const ids = await makeCommits({ root, gitFolder: folder, base: now, commits });
        untidied += commits.length;
        await index(commits.map(({ path, mode, text }) => ({ path, mode, id: blobId(text, ids[0]!.length) })));
        return ids;
      } catch (error) {
        if (toFailure(error).code !== "hub.moved" || tries > 20) throw error;
        await pause(Math.random() * 10 * tries);
      }
    }
  }

  /** Brings the index to what was committed, and to what an earlier try had to leave. */
  async function index(blobs: readonly Blob[]): Promise<void> {
    const left = readJson<string[]>(unindexedFile) ?? [];
    const late = left.length > 0 ? [...(await lookUp(root, left)).blobs.values()] : [];
    if (await updateIndex(root, { gitFolder: folder, own }, [...late, ...blobs]))
      return rmSync(unindexedFile, { force: true });
    const paths = [...new Set([...left, ...blobs.map((blob) => blob.path)])];
    replaceFile(own, unindexedFile, JSON.stringify(paths));
    log.warn("hub: another git holds index.lock; the commits are made, the index follows", {
      next: `If no git runs there, remove ${join(folder, "index.lock")}`,
    });
  }

  async function finishIntent(): Promise<void> {
    const intent = readJson<Intent>(intentFile);
    if (!intent) return;
    try {
      await finish(intent);
      rmSync(intentFile, { force: true });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === "hub.detached") throw error;
      const aside = join(own, `intent-failed-${Date.now()}.json`);
      renameSync(intentFile, aside);
      log.error("hub: a write that a crash cut short could not be finished", {
        ...failure,
        next: `See ${aside}`,
      });
    }
  }

  /** What never reached its file never happened: the run that asked for it asks again. */
  async function finish({ base, commits }: Intent): Promise<void> {
    const reached = commits.filter(({ path, added }) => {
      const place = locate(root, path);
      return place.kind === "file" && readText(place).includes(added);
    });
    if (reached.length === 0) return;
    log.info("hub: finishing a write that a crash cut short", { paths: reached.map(({ path }) => path) });
    await commit({ base, commits: reached });
  }

  async function tidy(): Promise<void> {
    untidied = 0;
    const failed = (error: unknown) => log.warn("hub: git gc failed", { ...toFailure(error) });
    await git(root, ["gc", "--auto", "--quiet"]).catch(failed);
  }

  return {
    write(change) {
      return new Promise((done, failed) => {
        checkChange(change);
        queue.push({ ...change, done, failed });
        working ??= drain();
      });
    },
    written: (author) => exclusively(() => findStep(root, author)),
    recover: async () => {
      if (existsSync(intentFile)) await exclusively(async () => {});
    },
    idle: async () => {
      while (working) await working;
    },
  };
}

function readJson<Value>(file: string): Value | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Value;
  } catch {
    return null;
  }
}
