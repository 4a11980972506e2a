import { setImmediate as breathe } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { durationInWords } from "../base/durations.ts";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import { createLoop } from "../base/loop.ts";
import type { Database } from "../store/database.ts";
import type { EventRow } from "../store/events.ts";
import {
  closeIssues,
  closeSettled,
  findIssue,
  holdShape,
  type IssueRow,
  keepWatches,
  lastArrivals,
  lastCompletion,
  openIssues,
  openIssuesOf,
  putShape,
  renameIssue,
  restartWatch,
  takeUnseen,
  takeUntold,
} from "../store/issues.ts";
import {
  adopt,
  compare,
  type Difference,
  describeDifference,
  isBack,
  LEARNED_FROM,
  learn,
  type Paths,
  pathsOf,
  type Shape,
} from "./shapes.ts";

/** A source, or a schedule by its handler's name, that may fall silent. */
export interface Watched {
  readonly about: string;
  /** Milliseconds within which something must come; null: never is fine. */
  readonly every: number | null;
  /** False while nothing can come: it is paused, or no secret is set. */
  readonly ready: boolean;
  /** True when the owner has been told that it fails. */
  readonly failing?: boolean;
}

export interface WatchOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly live: Live;
  readonly log: Log;
  /** All webhook sources and schedules that are installed. */
  readonly watched: () => Promise<readonly Watched[]> | readonly Watched[];
  /** Keeps a message to the owner within a transaction; what it returns is called when that is committed. */
  readonly tell: (inside: Database, text: string) => Promise<() => void>;
}

/** Looks after the issues: closes what was put right, hears silence, sees changed shapes, and tells the owner. */
export interface Watch {
  /** One look. Any number of clocks may look at once: each thing is done by one of them. */
  look(): Promise<void>;
  /** The new shape of a payload is the known one from then on; silence is waited out once more. False: there is no such issue. */
  close(id: string, by: string): Promise<boolean>;
  start(): void;
  stop(): Promise<void>;
}

const LOOK_MILLISECONDS = 5000;
/** Events whose shape is looked at in one look; of more that came in since the last one, the newest. */
const MOST_EVENTS = 100;
const MOST_BYTES = 256 * 1024;
/** Issues that one message names. */
const MOST_NAMED = 5;

export function createWatch(options: WatchOptions): Watch {
  const { database, clock, log } = options;
  const publish = (ids: readonly string[]) => {
    for (const id of ids) options.live.publish({ kind: "issue", id });
  };

  const look = async () => {
    const now = clock.now();
    const watched = await options.watched();
    const changed = await closeSettled(database, now);
    changed.push(...(await database.transaction((inside) => observe(inside, watched, now))));
    const [untold, told] = await database.transaction(async (inside) => {
      const issues = await takeUntold(inside, now);
      const told = issues.filter((issue) => !tellsItself(issue, watched));
      return [issues, told.length > 0 ? await options.tell(inside, toMessage(told)) : () => {}] as const;
    });
    told();
    publish([...changed, ...untold.map((issue) => issue.id)]);
  };

  const lookSafely = () =>
    look().catch((error) => log.warn("Looking after the issues failed; trying again.", { error: String(error) }));

  return {
    look,
    async close(id, by) {
      const found = await database.transaction(async (inside) => {
        const issue = await findIssue(inside, id);
        if (!issue) return false;
        if (issue.kind === "shape") await acceptShape(inside, issue);
        if (issue.kind === "silence") await restartWatch(inside, issue.about, clock.now());
        await closeIssues(inside, { ids: [id], by }, clock.now());
        return true;
      });
      publish([id]);
      return found;
    },
    ...createLoop(clock, lookSafely, () => LOOK_MILLISECONDS),
  };
}

/** Silence and shapes. Does nothing when another clock is at it. Returns the ids of the issues that changed. */
async function observe(inside: Database, watched: readonly Watched[], now: Date): Promise<string[]> {
  const sources = watched.map(({ about }) => about).filter((about) => !about.startsWith("schedule:"));
  const events = await takeUnseen(inside, sources, { most: MOST_EVENTS, mostBytes: MOST_BYTES });
  if (!events) return [];
  const kinds = [...Map.groupBy(events, (event) => JSON.stringify([event.source, event.type])).values()];
  const shapes: string[] = [];
  for (const same of kinds) shapes.push(...(await observeShape(inside, same, now)));
  return [...shapes, ...(await observeSilence(inside, watched, now))];
}

/** Opens an issue for each that was silent for too long since it was set up, and closes those of which something came. */
async function observeSilence(inside: Database, watched: readonly Watched[], now: Date): Promise<string[]> {
  const since = await keepWatches(inside, watched, now);
  const expected = watched.filter(({ every, ready }) => every !== null && ready);
  const lasts = await lastHeard(inside, expected);
  const silent = expected.flatMap(({ about, every }, place) => {
    const last = Math.max(since.get(about)!.getTime(), lasts[place]?.getTime() ?? 0);
    const title = silenceInWords(about, now.getTime() - last, every!);
    return now.getTime() - last > every! ? [{ about, title, detail: { lastAt: lasts[place] } }] : [];
  });
  const open = new Map((await openIssuesOf(inside, "silence")).map((issue) => [issue.about, issue]));
  for (const { about, title } of silent) if (open.has(about)) await renameIssue(inside, open.get(about)!.id, title);
  const heard = [...open.values()].filter(({ about }) => !silent.some((one) => one.about === about));
  const opened = await openIssues(
    inside,
    silent
      .filter(({ about }) => !open.has(about))
      .map((one) => ({ ...one, kind: "silence", fingerprint: "", count: 1, at: now })),
  );
  return [...opened, ...(await closeIssues(inside, { ids: heard.map((issue) => issue.id), by: null }, now))];
}

/** When each was last heard from: a source by its last event, a schedule by its last completed run. */
async function lastHeard(database: Database, watched: readonly Watched[]): Promise<(Date | null)[]> {
  const sources = watched.map(({ about }) => about).filter((about) => !about.startsWith("schedule:"));
  const arrivals = await lastArrivals(database, sources);
  const arrivalOf = new Map(sources.map((source, place) => [source, arrivals[place]!]));
  const lasts: (Date | null)[] = [];
  for (const { about } of watched) {
    const schedule = /^schedule:(.*)/.exec(about)?.[1];
    lasts.push(schedule === undefined ? (arrivalOf.get(about) ?? null) : await lastCompletion(database, schedule));
  }
  return lasts;
}

function silenceInWords(about: string, silence: number, every: number): string {
  const schedule = /^schedule:(.*)/.exec(about)?.[1];
  const what = schedule === undefined ? `Nothing from ${about}` : `${schedule} completed nothing`;
  return `${what} for ${durationInWords(silence)}; expected every ${durationInWords(every)}.`;
}

/** What an issue of a shape holds; `before` and `after` are events. */
interface ShapeDetail {
  readonly source: string;
  readonly type: string;
  readonly differences: readonly Difference[];
  readonly before: string;
  readonly after: string;
}

/** Holds events of one source and type, oldest first, against the known shape, or learns it from them. */
async function observeShape(inside: Database, events: readonly EventRow[], now: Date): Promise<string[]> {
  const { source, type } = events[0]!;
  const about = `${source} ${type}`;
  const row = await holdShape(inside, source, type);
  const known: Shape = row ? { seen: row.seen, paths: row.paths as Paths } : { seen: 0, paths: {} };
  const [issue] = row ? await openIssuesOf(inside, "shape", [about]) : [];
  const told = issue?.detail as ShapeDetail | undefined;
  let shape = known;
  let before = row?.eventId ?? "";
  let after = told?.after ?? "";
  let open = told?.differences ?? [];
  let count = 0;
  for (const [place, event] of events.entries()) {
    // Who sends an event meanwhile does not wait for all of these.
    if (place % 10 === 9) await breathe();
    if (event.problem) continue;
    const paths = pathsOf(event.data, shape.paths);
    const back = open.filter((difference) => isBack(difference, paths));
    shape = adopt(shape, back);
    open = open.filter((difference) => !back.includes(difference));
    const found = shape.seen < LEARNED_FROM ? [] : compare(shape.paths, paths);
    const fresh = found.filter(({ path }) => !open.some((difference) => difference.path === path));
    open = [...open, ...fresh];
    shape = learn(shape, paths);
    if (found.length === 0) before = event.id;
    else [after, count] = [event.id, count + 1];
  }
  if (shape !== known) await putShape(inside, { source, type, ...shape, eventId: before });
  if (open.length === 0) return issue ? await closeIssues(inside, { ids: [issue.id], by: null }, now) : [];
  if (count === 0 && open.length === told?.differences.length) return [];
  const detail: ShapeDetail = { source, type, differences: open, before, after };
  const more = open.length > 1 ? ` (and ${open.length - 1} more)` : "";
  const title = `${about}: ${describeDifference(open[0]!)}${more}`;
  return await openIssues(inside, [{ kind: "shape", about, fingerprint: "", title, detail, count, at: now }]);
}

async function acceptShape(inside: Database, issue: IssueRow): Promise<void> {
  const { source, type } = issue.detail as ShapeDetail;
  const row = await holdShape(inside, source, type);
  // Read again now that it is held: it may have grown.
  const detail = (await findIssue(inside, issue.id))?.detail as ShapeDetail;
  if (!row) return;
  const shape = adopt({ seen: row.seen, paths: row.paths as Paths }, detail.differences);
  await putShape(inside, { ...row, ...shape, eventId: detail.after });
}

/** A schedule tells that it fails after as many failures as its policy says: to be told here too would be twice. */
function tellsItself({ kind, about }: IssueRow, watched: readonly Watched[]): boolean {
  if (kind === "failure") return about.startsWith("schedule:");
  return watched.some((one) => one.about === about && one.failing);
}

/** What the owner reads, once for each opening. */
function toMessage(issues: readonly IssueRow[]): string {
  const lines = issues.slice(0, MOST_NAMED).map((issue) => {
    const gap = issue.openings > 1 && issue.closedAt ? issue.openedAt.getTime() - issue.closedAt.getTime() : null;
    const back = gap === null ? "" : `, came back after ${durationInWords(Math.max(0, gap))}`;
    return `${issue.title} (${issue.about}${back}; daimon issues show ${issue.id})`;
  });
  const more = issues.length - lines.length;
  const all = more > 0 ? [...lines, `And ${more} more: daimon issues list`] : lines;
  return all.length === 1 ? `Issue: ${all[0]}` : ["Issues:", ...all.map((line) => `- ${line}`)].join("\n");
}
