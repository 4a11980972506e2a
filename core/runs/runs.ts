import type { Clock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { NewEvent, RawRequest } from "../define/event.ts";
import { OWNER } from "../define/label.ts";
import type { Limits } from "../define/limits.ts";
import { type Approval, answerApproval } from "../store/approvals.ts";
import type { Database } from "../store/database.ts";
import { type EventRow, findEvent } from "../store/events.ts";
import { pause, resume } from "../store/held.ts";
import { addRuns, type KeptEvent, keepEvents } from "../store/keep.ts";
import { setStopped } from "../store/processes.ts";
import { linkReplay } from "../store/repairs.ts";
import { cancelRun, retryRun, type Verdict } from "../store/runs.ts";
import type { ContextServices } from "./context.ts";
import { createDispatch, type Decision, decide, toRunSeeds, toSeed } from "./dispatch.ts";
import { createPresence } from "./presence.ts";
import type { Handlers } from "./registered.ts";
import { decideAgain, type Repair, repairHandlers } from "./repair.ts";
import { createWorker } from "./worker.ts";

export interface RunsOptions {
  readonly database: Database;
  /** For the heartbeat alone. Default: the same as for everything else. */
  readonly heart?: Database;
  readonly handlers: Handlers;
  readonly services: () => Omit<ContextServices, "emit" | "limits">;
  readonly live: Live;
  readonly clock: Clock;
  readonly log: Log;
  readonly allowed: Required<Limits>;
  readonly concurrency: number;
  readonly leaseMilliseconds: number;
  readonly onSilence?: () => void;
  readonly roles: readonly string[];
  /** Tells other processes; there may be none to hear it. */
  readonly say: (signal: "runs" | "cancel") => void;
}

/** The hall where all doors meet: events in, runs carried, and what a person may do to a run. */
export interface Runs {
  /** Keeps an event and queues its runs, in one commit that concurrent callers share. */
  dispatch(event: NewEvent, decision?: Decision, parsed?: unknown): Promise<KeptEvent>;
  /** The same for all that one request brought: all of it is kept, or nothing; the request once. */
  dispatchAll(request: RawRequest, events: readonly NewEvent[]): Promise<KeptEvent[]>;
  /**
   * Runs of the current triggers on an event that is kept already; with other data on a new event that is linked to it,
   * and no more trusted than it. Throws `event.missing`.
   */
  replay(eventId: string, edited?: { data: unknown }): Promise<{ eventId: string; runIds: readonly string[] }>;
  /** Replays all events, or retries all runs, that a filter means now: in the background, by a run whose id is returned. */
  repair(order: Repair): Promise<{ eventId: string; runId: string }>;
  /** Cancels a run that is not under way; asks a running one, and its children, to stop. */
  cancel(runId: string): Promise<Verdict>;
  /** Queues a run again that has failed, was canceled, or waits for its next try. */
  retry(runId: string): Promise<Verdict>;
  /** Lets a trigger (`trigger:capability/name`) or a source (`source:name`) begin no run, or begin what it held back. */
  pause(name: string, paused: boolean): Promise<void>;
  /** Keeps events within a transaction of the caller's, who calls `announce` when it is committed. */
  keep(inside: Database, events: readonly { event: NewEvent; decision?: Decision }[]): Promise<KeptEvent[]>;
  announce(kept: readonly KeptEvent[]): void;
  /** Throws `approval.missing` or `approval.answered`. */
  answer(approvalId: string, status: "approved" | "denied", by: string): Promise<Approval>;
  /** STOP: cancels all that runs and claims nothing until it is released. */
  setStopped(stopped: boolean): Promise<void>;
  isStopped(): boolean;
  /** Another process said that there is something to claim, or to cancel. */
  heard(signal: "runs" | "cancel"): void;
  /** True when another process works on the same database. */
  hasPeers(): boolean;
  start(): Promise<void>;
  stop(drainMilliseconds: number): Promise<void>;
}

export function createRuns(options: RunsOptions): Runs {
  const { database } = options;
  const carries = options.roles.includes("worker");
  const presence = createPresence({ heart: database, ...options });
  const tell = (signal: "runs" | "cancel") => {
    if (!carries || presence.others > 0) options.say(signal);
  };
  const onQueued = () => {
    if (carries) worker.wake();
    tell("runs");
  };
  const own = repairHandlers({ ...options, onQueued });
  const handlers: Handlers = {
    get: (name) => own.get(name) ?? options.handlers.get(name),
    triggers: options.handlers.triggers,
  };
  const dispatch = createDispatch({
    database,
    handlers,
    live: options.live,
    onQueued,
    ...(carries ? { worker: { reserve: (runIds) => worker.reserve(runIds) } } : {}),
    now: options.clock.now,
    allowed: options.allowed,
  });
  const emit = async (event: NewEvent) => (await dispatch.one(event)).eventId;
  const worker = createWorker({
    ...options,
    handlers,
    presence,
    chance: Math.random,
    services: () => ({ ...options.services(), emit, limits: options.allowed }),
  });
  let pulse: NodeJS.Timeout | undefined;
  const hurry = () => {
    tell("cancel");
    if (carries) void presence.beat().catch(() => {});
  };

  const keep: Runs["keep"] = (inside, events) =>
    keepEvents(
      inside,
      events.map(({ event, decision }) =>
        toSeed(event, decision ?? decide(handlers, event, event.data), event.data, {
          now: options.clock.now(),
          allowed: options.allowed,
        }),
      ),
    );
  const announce = (kept: readonly KeptEvent[]) => {
    for (const { eventId } of kept) options.live.publish({ kind: "event", id: eventId });
    if (kept.some((one) => one.runIds.length > 0)) onQueued();
  };
  const replayEdited = async (first: EventRow, data: unknown): Promise<KeptEvent> => {
    const { source, type, label } = first;
    // A schedule's time is the nominal one; all others came in now.
    const event = { source, type, data, label, ...(source === "schedule" ? { time: first.time } : {}) };
    const decision = decideAgain(handlers, event, data);
    const kept = await database.transaction(async (inside) => {
      const [one] = await keep(inside, [{ event, decision }]);
      await linkReplay(inside, one!.eventId, first.id);
      return one!;
    });
    announce([kept]);
    return kept;
  };

  return {
    dispatch: dispatch.one,
    dispatchAll: dispatch.all,
    keep,
    announce,
    async replay(eventId, edited) {
      const event = await findEvent(database, eventId);
      if (!event) throw new DaimonError("event.missing", `There is no event ${eventId}.`, "daimon events list");
      if (edited) return await replayEdited(event, edited.data);
      const { runs } = decideAgain(handlers, event, event.data);
      const context = { parentId: null, allowed: options.allowed, now: options.clock.now() };
      const [runIds] = await addRuns(database, [{ event, runs: toRunSeeds(runs, event, context) }]);
      onQueued();
      return { eventId, runIds: runIds! };
    },
    async repair({ kind, filter }) {
      const until = new Date(options.clock.now().getTime() + 1).toISOString();
      const event = { source: "daimon", type: kind, data: { kind, filter: { until, ...filter } }, label: OWNER };
      // One at a time, so that each finds what the one before has left.
      const named = { handler: handlers.get(`daimon:${kind}`)!, key: "daimon:repair", keyLimit: 1 };
      const kept = await dispatch.one(event, { outcome: "dispatched", reason: null, runs: [named] });
      return { eventId: kept.eventId, runId: kept.runIds[0]! };
    },
    async cancel(runId) {
      const verdict = await cancelRun(database, runId);
      if (verdict?.done && verdict.status === "canceled") {
        options.live.publish({ kind: "run", id: runId, status: "canceled" });
      }
      hurry();
      return verdict;
    },
    async retry(runId) {
      const verdict = await retryRun(database, runId);
      if (!verdict?.done) return verdict;
      options.live.publish({ kind: "run", id: runId, status: "queued" });
      onQueued();
      return verdict;
    },
    async pause(name, paused) {
      await (paused ? pause : resume)(database, name);
      options.live.publish({ kind: "pause", id: name, status: paused ? "paused" : "active" });
      if (!paused) onQueued();
    },
    async answer(approvalId, status, by) {
      const answered = await answerApproval(database, approvalId, { status, by });
      if (!answered)
        throw new DaimonError("approval.missing", `There is no approval ${approvalId}.`, "daimon approvals list");
      if (!answered.done) {
        throw new DaimonError(
          "approval.answered",
          `The approval ${approvalId} is ${answered.approval.status === "waiting" ? "expired" : answered.approval.status} already.`,
        );
      }
      options.live.publish({ kind: "approval", id: approvalId, status, name: answered.approval.runId });
      onQueued();
      return answered.approval;
    },
    async setStopped(stopped) {
      await setStopped(database, stopped);
      hurry();
    },
    isStopped: () => presence.stopped,
    heard(signal) {
      if (!carries) return;
      if (signal === "runs") worker.wake();
      else void presence.beat().catch(() => {});
    },
    hasPeers: () => presence.others > 0,
    async start() {
      if (carries) return await worker.start();
      await presence.start({ onLost: () => {}, onCanceled: () => {}, onCarried: () => {} });
      pulse = setInterval(() => void presence.beat().catch(() => {}), Math.min(1000, options.leaseMilliseconds / 4));
    },
    async stop(drainMilliseconds) {
      clearInterval(pulse);
      if (carries) await worker.stop(drainMilliseconds);
      else await presence.stop();
    },
  };
}
