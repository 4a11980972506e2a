import { createBatch } from "../base/batch.ts";
import { parseDuration } from "../base/durations.ts";
import { newId } from "../base/ids.ts";
import type { Live } from "../base/live.ts";
import type { EventOutcome, NewEvent, RawRequest } from "../define/event.ts";
import type { Limits } from "../define/limits.ts";
import type { Database } from "../store/database.ts";
import { toName } from "../store/encode.ts";
import { BODY, type EventSeed, type KeptEvent, keepEvents, type RunSeed, type SharedRequest } from "../store/keep.ts";
import { type ClaimedRun, toClaimedRun } from "../store/runs.ts";
import { at, matchesType, matchesWhere } from "./match.ts";
import type { Handlers, RegisteredHandler } from "./registered.ts";
import { effectiveLimits } from "./rules.ts";
import type { Worker } from "./worker.ts";

/** A run that is asked for by name, beside those that triggers start. */
export interface NamedRun {
  readonly handler: RegisteredHandler;
  readonly key?: string;
  readonly keyLimit?: number;
}

/** Exactly this outcome and these runs, whatever triggers say. */
export interface Decision {
  readonly outcome: EventOutcome;
  readonly reason: string | null;
  readonly runs: readonly NamedRun[];
}

/** Persist and dispatch: keeps events and queues their runs in one transaction, which concurrent callers share. */
export interface Dispatch {
  /** `parsed` is the parsed body of an event whose data is BODY, so that it can be matched without being sent twice. */
  one(event: NewEvent, decision?: Decision, parsed?: unknown): Promise<KeptEvent>;
  /** All that one request brought, or nothing of it; the request is kept once. */
  all(request: RawRequest, events: readonly NewEvent[]): Promise<KeptEvent[]>;
}

export function createDispatch(options: {
  database: Database;
  handlers: Handlers;
  live: Live;
  /** Told after runs were queued. */
  onQueued: () => void;
  /** The worker of this process, if it carries runs: what it has a place for begins as it is kept. */
  worker?: Pick<Worker, "reserve">;
  now: () => Date;
  allowed: Required<Limits>;
}): Dispatch {
  type Group = { seeds: readonly EventSeed[]; shared?: SharedRequest };
  const keep = createBatch(
    async (groups: Group[]) => {
      const seeds = groups.flatMap((group) => group.seeds);
      const shared = groups.flatMap((group) => group.shared ?? []);
      const kept = await keepAndBegin(seeds, shared);
      if (shared.length === 0) return kept.map((one) => [one]);
      const rest = kept.values();
      return groups.map((group) => [...rest.take(group.seeds.length)]);
    },
    { most: 512, lanes: 2, beside: 64 },
  );
  const keepAndBegin = async (seeds: EventSeed[], shared: SharedRequest[]) => {
    const places = options.worker?.reserve(seeds.flatMap(({ runs }) => runs.filter(isFree)).map((run) => run.id));
    if (!places) return await keepEvents(options.database, seeds, shared);
    const { worker, ids } = places;
    const claimed = seeds.map((seed) => ({
      ...seed,
      runs: seed.runs.map((run) => (ids.has(run.id) ? { ...run, worker } : run)),
    }));
    const begun: ClaimedRun[] = [];
    try {
      const kept = await keepEvents(options.database, claimed, shared);
      kept.forEach(({ begun: some }, place) => {
        for (const run of some?.runs ?? []) begun.push(toClaimedRun(seeds[place]!, run, some!.at));
      });
      return kept;
    } finally {
      places.begin(begun);
    }
  };
  const seedOf = (event: NewEvent, decision?: Decision, parsed?: unknown): EventSeed => {
    const data = event.data === BODY ? parsed : event.data;
    const context = { now: options.now(), allowed: options.allowed };
    return toSeed(event, decision ?? decide(options.handlers, event, data), data, context);
  };
  const tell = ({ event, outcome }: EventSeed, { eventId, runIds, duplicate, begun }: KeptEvent) => {
    if (duplicate) return;
    if (runIds.length > (begun?.runs.length ?? 0)) options.onQueued();
    options.live.publish({ kind: "event", id: eventId, status: outcome, name: `${event.source} ${event.type}` });
  };
  return {
    async one(event, decision, parsed) {
      const seed = seedOf(event, decision, parsed);
      const [kept] = await keep({ seeds: [seed] });
      tell(seed, kept!);
      return kept!;
    },
    async all(request, events) {
      const shared = { ...request, id: newId("req") };
      const seeds = events.map((event) => ({ ...seedOf(event), requestId: shared.id }));
      const kept = await keep({ seeds, shared });
      seeds.forEach((seed, place) => {
        tell(seed, kept[place]!);
      });
      return kept;
    },
  };
}

/** Nothing is counted before it may begin. */
const isFree = ({ key, burst, rate }: RunSeed) => key === null && !burst && !rate;

/** What triggers make of an event: its outcome, the reason in words, and its runs. */
export function decide(
  handlers: Handlers,
  event: { source: string; type: string; problem?: string | null },
  data: unknown,
): Decision {
  const wanted = handlers
    .triggers()
    .filter((trigger) => trigger.on.source === event.source && matchesType(trigger.on.type, event.type));
  if (wanted.length === 0) {
    if (event.source === "daimon") return { outcome: "ignored", reason: null, runs: [] };
    return { outcome: "ignored", reason: `No trigger wants ${event.source} ${toName(event.type)}.`, runs: [] };
  }
  const matching = event.problem ? wanted : wanted.filter((trigger) => matchesWhere(trigger.on.where, data));
  if (matching.length === 0) {
    return {
      outcome: "filtered",
      reason: `${wanted.map((trigger) => trigger.handler).join(", ")} wants other data.`,
      runs: [],
    };
  }
  const runs = matching.map((trigger) => handlers.get(trigger.handler)).filter((handler) => handler !== undefined);
  return { outcome: "dispatched", reason: null, runs: runs.map((handler) => ({ handler })) };
}

/** The seeds of runs for `data`; what cannot be read (`problem`) is gathered with nothing. */
export function toRunSeeds(
  runs: readonly NamedRun[],
  { data, problem }: { data: unknown; problem?: string | null },
  from: { parentId: string | null; allowed: Required<Limits>; now: Date },
): RunSeed[] {
  return runs.map(({ handler, key, keyLimit }) => {
    const { concurrency, debounce, rate } = handler;
    const named = (by: { key?: string }) => toName(`${handler.name}:${by.key ? keyOf(at(data, by.key)) : "all"}`);
    return {
      id: newId("run"),
      handler: handler.name,
      version: handler.version,
      priority: handler.priority,
      key: key ?? (concurrency ? named(concurrency) : null),
      keyLimit: keyLimit ?? concurrency?.limit ?? null,
      attempts: handler.retry.attempts,
      delays: handler.retry.delays,
      limits: effectiveLimits(handler.limits, from.allowed),
      parentId: from.parentId,
      ...(debounce && !problem ? { burst: { name: named(debounce), ...timesOf(debounce, from.now) } } : {}),
      ...(rate ? { rate: { name: named(rate), limit: rate.limit, milliseconds: parseDuration(rate.per) } } : {}),
    };
  });
}

const keyOf = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function timesOf({ delay, most }: { delay: string; most?: string }, now: Date): { wakeAt: Date; until: Date | null } {
  const later = (duration: string) => new Date(now.getTime() + parseDuration(duration));
  return { wakeAt: later(delay), until: most === undefined ? null : later(most) };
}

/** An event with its outcome and runs, ready to be kept. */
export function toSeed(
  event: NewEvent,
  decision: Decision,
  data: unknown,
  context: { now: Date; allowed: Required<Limits> },
): EventSeed {
  const id = newId("evt");
  return {
    id,
    event: { ...event, type: toName(event.type), key: toName(event.key ?? id), time: event.time ?? context.now },
    outcome: decision.outcome,
    reason: decision.reason,
    runs: toRunSeeds(decision.runs, { ...event, data }, { parentId: event.parentRunId ?? null, ...context }),
  };
}
