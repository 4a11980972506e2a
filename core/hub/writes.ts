import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { type Author, type Blob, blobId, findMade, findStep, holdIndex, lookUp, makeCommits } from "./commits.ts";
import { git, gitFolder, standing } from "./git.ts";
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
  readonly base: string;
  readonly commits: readonly Planned[];
}

const MOST_AT_ONCE = 64;
const COMMITS_BETWEEN_TIDYING = 500;
const FOLLOW_MILLISECONDS = 1000;
/** What passes: what was begun is finished then. */
const DISK_FULL = /no space left|out of diskspace|quota exceeded/iu;

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

  /** Does `work` under git's lock on the index, and brings the index to the blobs that it tells it has committed. */
  async function holding(work: () => Promise<readonly Blob[]>): Promise<void> {
    const held = await holdIndex(root, folder, own);
    try {
      const blobs = await work();
      const left = readJson<string[]>(unindexedFile) ?? [];
      if (blobs.length + left.length === 0) return;
      const late = left.length > 0 ? await blobsNow(left) : [];
      const brought = await held?.bring([...late, ...blobs]).catch(() => false);
      if (brought) return rmSync(unindexedFile, { force: true });
      replaceFile(own, unindexedFile, JSON.stringify([...left, ...blobs.map(({ path }) => path)]));
      followLater(left.length === 0);
    } finally {
      held?.release();
    }
  }

  async function carryOut(changes: readonly Asked[]): Promise<void> {
    const paths = changes.flatMap(({ path }) => pathIfGood(root, path) ?? []);
    const answers: (() => void)[] = [];
    await holding(async () => {
      const [on, known] = await Promise.all([branchOf(root), lookUp(root, paths)]);
      // Nothing awaits from the reading to the renames: an owner's save cannot come in between and be lost.
      const time = Math.floor(clock.now().getTime() / 1000);
      const plan = planWrites({ root, changes, ...known, time });
      for (const { index, error } of plan.refused) changes[index]!.failed(error);
      if (plan.commits.length === 0) return [];
      const intent: Intent = { base: on.base, commits: plan.commits };
      replaceFile(own, intentFile, JSON.stringify(intent));
      for (const { absolute, text } of plan.files) replaceFile(own, absolute, text);
      const { ids, blobs } = await commit(intent, on);
      for (const [index, { path, change }] of plan.commits.entries()) {
        if (change !== null) answers.push(() => changes[change]!.done({ path, commit: ids[index]! }));
      }
      return blobs;
    });
    rmSync(intentFile, { force: true });
    for (const answer of answers) answer();
  }

  /**
   * Makes the intent's commits once, on `on` or, when that is not known or has moved, where the branch stands: a
   * git that outlived the process which started it may have made them already, or be about to.
   */
  async function commit({ base, commits }: Intent, on?: Standing) {
    for (let tries = 1; ; tries++) {
      const made = on && tries === 1 ? [] : await findMade(root, base, commits);
      if (made.some((id) => id !== null)) {
        return { ids: made.map((id) => id ?? base), blobs: await blobsNow(commits.map(({ path }) => path)) };
      }
      try {
        const where = on && tries === 1 ? on : await branchOf(root);
        const ids = await makeCommits(root, where, commits);
        untidied += commits.length;
        return { ids, blobs: commits.map(({ path, mode, text }) => ({ path, mode, id: blobId(text, base.length) })) };
      } catch (error) {
        if (toFailure(error).code !== "hub.moved" || tries > 20) throw error;
        await pause(Math.random() * 10 * tries);
      }
    }
  }

  const blobsNow = async (paths: readonly string[]) => [...(await lookUp(root, paths)).blobs.values()];

  function followLater(first: boolean): void {
    if (first) {
      const next = `If no git runs there, remove ${join(folder, "index.lock")}`;
      log.warn("hub: another git holds index.lock; the commits are made, the index follows", { next });
    }
    setTimeout(() => exclusively(() => holding(async () => [])).catch(() => {}), FOLLOW_MILLISECONDS).unref();
  }

  /** Finishes what a crash left. What never reached its file never happened: the run that asked for it asks again. */
  async function finishIntent(): Promise<void> {
    const intent = readJson<Intent>(intentFile);
    if (!intent) return;
    try {
      await holding(async () => {
        const reached = intent.commits.filter((planned) => hasReached(root, planned));
        log.info("hub: finishing what a crash cut short", { paths: reached.map(({ path }) => path) });
        return reached.length > 0 ? (await commit({ ...intent, commits: reached })).blobs : [];
      });
      rmSync(intentFile);
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === "hub.detached" || DISK_FULL.test(failure.message)) throw error;
      const aside = join(own, `intent-failed-${Date.now()}.json`);
      renameSync(intentFile, aside);
      log.error("hub: what a crash cut short could not be finished", { ...failure, next: `See ${aside}` });
    }
  }

  async function tidy(): Promise<void> {
    untidied = 0;
    const failed = (error: unknown) => log.warn("hub: git gc failed", { ...toFailure(error) });
    await git(root, ["gc", "--auto", "--quiet"]).catch(failed);
  }

  return {
    write: (change) =>
      new Promise((done, failed) => {
        checkChange(change);
        queue.push({ ...change, done, failed });
        working ??= drain();
      }),
    written: (author) => exclusively(() => findStep(root, author)),
    async recover() {
      const waits = (error: unknown) => log.warn("hub: what a crash cut short waits", { ...toFailure(error) });
      const left = [intentFile, join(folder, "index.lock")].some((file) => existsSync(file));
      if (left) await exclusively(() => holding(async () => [])).catch(waits);
      else if (existsSync(unindexedFile)) followLater(false);
    },
    async idle() {
      while (working) await working;
    },
  };
}

type Standing = { base: string; branch: string };

/** Where the hub stands. Throws `hub.detached` when it is on no branch, as in the middle of a rebase. */
async function branchOf(root: string): Promise<Standing> {
  const on = await standing(root);
  if (on?.branch.startsWith("refs/heads/")) return on;
  throw new DaimonError(
    "hub.detached",
    "The hub's repository stands on no branch: a rebase or a checkout of an old commit is under way.",
    `Finish it, or go back: git -C ${root} switch main`,
  );
}

/** Whether the file has what was planned for it: as often as planned, since a log may repeat its lines. */
function hasReached(root: string, { path, added, text }: Planned): boolean {
  const place = locate(root, path);
  return place.kind === "file" && readText(place).split(added).length >= text.split(added).length;
}

/** The real path, for the look-up; what is wrong with a bad one is told when the write is planned. */
function pathIfGood(root: string, path: string): string | null {
  try {
    return locate(root, path).path;
  } catch {
    return null;
  }
}

function readJson<Value>(file: string): Value | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Value;
  } catch {
    return null;
  }
}
