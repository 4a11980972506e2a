/** Replays of many events and retries of many runs: runs like all others, which carry a set that is fixed when they begin. */
import type { Clock } from "../base/clock.ts";
import type { Limits } from "../define/limits.ts";
import type { Database } from "../store/database.ts";
import { type EventRow, findEvents } from "../store/events.ts";
import type { EventFilter, RunFilter } from "../store/filters.ts";
import { addRuns } from "../store/keep.ts";
import { markTargets, nextTargets, noteEvents, noteRuns } from "../store/repairs.ts";
import { retryRuns } from "../store/runs.ts";
import { type Decision, decide, toRunSeeds } from "./dispatch.ts";
import { at } from "./match.ts";
import type { Handlers, RegisteredHandler } from "./registered.ts";
import { DEFAULT_RETRY } from "./rules.ts";

/** What is to be put right: events to be replayed, or runs to be retried. */
export type Repair =
  | { readonly kind: "replay"; readonly filter: EventFilter }
  | { readonly kind: "retry"; readonly filter: RunFilter };

/** By target the runs that came of it. */
type Came = ReadonlyMap<string, readonly string[]>;

/** What is put right in bulk makes way for what comes in anew. */
const PRIORITY = -1;
/** Targets that are done in one transaction. */
const TOGETHER = 100;

/** What an event is to be run on again: by the triggers of today, or by its schedule. */
export function decideAgain(
  handlers: Handlers,
  event: { source: string; type: string; problem?: string | null },
  data: unknown,
): Decision {
  const schedule = event.source === "schedule" && handlers.get(`schedule:${at(data, "schedule")}`);
  if (schedule) return { outcome: "dispatched", reason: null, runs: [{ handler: schedule }] };
  return decide(handlers, event, data);
}

/** The handlers `daimon:replay` and `daimon:retry`. A run of theirs is broken off and taken up again between two transactions. */
export function repairHandlers(options: {
  database: Database;
  handlers: Handlers;
  clock: Clock;
  allowed: Required<Limits>;
  /** Told after runs were queued. */
  onQueued: () => void;
}): ReadonlyMap<string, RegisteredHandler> {
  const { database } = options;

  const replay = async (inside: Database, order: string, ids: readonly string[], filter: EventFilter) => {
    const events = await findEvents(inside, ids);
    const again = events.map((event) => ({ event, runs: againSeeds(event, filter, order) }));
    const came = await addRuns(inside, again);
    const cameOf = new Map(events.map((event, place) => [event.id, came[place]!]));
    return new Map(ids.map((id) => [id, cameOf.get(id) ?? []]));
  };
  const againSeeds = (event: EventRow, { handler }: EventFilter, parentId: string) => {
    const { runs } = decideAgain(options.handlers, event, event.data);
    const wanted = handler ? runs.filter((run) => run.handler.name === handler) : runs;
    const seeds = toRunSeeds(wanted, event, { parentId, allowed: options.allowed, now: options.clock.now() });
    return seeds.map((seed) => ({ ...seed, priority: Math.min(seed.priority, PRIORITY) }));
  };
  const retry = async (inside: Database, _: string, ids: readonly string[]) => {
    const queued = new Set(await retryRuns(inside, ids, PRIORITY));
    return new Map(ids.map((id) => [id, queued.has(id) ? [id] : []]));
  };

  /** Does the next targets in one transaction with the note that they are done. Returns how many there were. */
  const doNext = async (order: string, work: (inside: Database, ids: readonly string[]) => Promise<Came>) => {
    const done = await database.transaction(async (inside) => {
      const ids = await nextTargets(inside, order, TOGETHER);
      if (ids.length > 0) await markTargets(inside, order, await work(inside, ids));
      return ids.length;
    });
    if (done > 0) options.onQueued();
    return done;
  };

  const handler = (kind: Repair["kind"]): RegisteredHandler => ({
    name: `daimon:${kind}`,
    version: "1",
    retry: DEFAULT_RETRY,
    limits: {},
    priority: 0,
    secret: () => "",
    async run({ step, event }, journal) {
      const { runId } = journal();
      const { filter } = (event as { data: Repair }).data;
      await step.run("find", async (signal) => {
        if (kind === "retry") return await noteRuns(database, runId, filter as RunFilter);
        let cursor: string | null = null;
        do {
          signal.throwIfAborted();
          cursor = await noteEvents(database, runId, filter as EventFilter, cursor);
        } while (cursor);
      });
      await step.run(kind, async (signal) => {
        const work = (inside: Database, ids: readonly string[]) =>
          kind === "replay" ? replay(inside, runId, ids, filter as EventFilter) : retry(inside, runId, ids);
        do signal.throwIfAborted();
        while ((await doNext(runId, work)) > 0);
      });
    },
  });
  return new Map((["replay", "retry"] as const).map((kind) => [`daimon:${kind}`, handler(kind)]));
}
