import { createBatch } from "../base/batch.ts";
import { toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Step } from "../define/run.ts";
import { isAway } from "../store/database.ts";
import { releaseHeld } from "../store/held.ts";
import { handBack, takeOver } from "../store/processes.ts";
import { type ClaimedRun, claimRuns, type Release, releaseRuns, wakeDue } from "../store/runs.ts";
import { keepSteps, type StepSeed, stepsOf } from "../store/steps.ts";
import { type ExecuteOptions, executeRun, NOTHING } from "./execute.ts";
import { Halt, type Interruption } from "./halt.ts";
import type { Presence } from "./presence.ts";
import type { Handlers } from "./registered.ts";

export interface WorkerOptions extends Omit<ExecuteOptions, "keepStep"> {
  readonly handlers: Handlers;
  readonly presence: Presence;
  readonly log: Log;
  /** Runs at a time. */
  readonly concurrency: number;
  /** A process that has not been seen for so long is dead, and its runs are taken over. */
  readonly leaseMilliseconds: number;
}

/** Claims runs, carries them, renews the lease on them, takes over from the dead. */
export interface Worker {
  start(): Promise<void>;
  /** There may be something to claim. */
  wake(): void;
  /** Places for those of these runs, which are about to be kept, that can begin at once. Null: others come first, or there is none. */
  reserve(runIds: readonly string[]): Places | null;
  /** Claims no more; waits so long for what is under way, then hands it back. */
  stop(drainMilliseconds: number): Promise<void>;
}

/** Places that are held for runs until they are kept. */
export interface Places {
  /** In whose name they are claimed. */
  readonly worker: string;
  readonly ids: ReadonlySet<string>;
  /** Carries those that were kept, and gives the other places back. To be called once, whatever came. */
  begin(kept: readonly ClaimedRun[]): void;
}

/** How often the net is drawn in when nothing wakes the worker. */
const POLL_MILLISECONDS = 1000;
/** It is drawn in sooner when a run is due sooner, but not sooner than this. */
const SOONEST_MILLISECONDS = 50;
/** With a backlog and a house that is more than half full, runs that end are replaced this much later, together. */
const GATHER_MILLISECONDS = 5;

/** Runs that take no longer than this are claimed ahead: the next ones are there when these have ended. */
const QUICK_MILLISECONDS = 5;

/** A run in our hands: waiting for a place, executing, or being written. */
interface Underway {
  readonly run: ClaimedRun;
  readonly kept: readonly Step[];
  readonly halt: Halt;
  done: Promise<void> | undefined;
}

export function createWorker(options: WorkerOptions): Worker {
  const { database, clock, log, presence } = options;
  const underway = new Map<string, Underway>();
  const keepSoon = createBatch((steps: StepSeed[]) => keepSteps(database, steps), { most: 256, lanes: 2 });
  const keepStep = (step: StepSeed) => whileUseful(() => keepSoon(step), presence.holds);
  const execution = { ...options, keepStep };
  const release = createBatch((releases: Release[]) => releaseRuns(database, releases), { most: 256, lanes: 2 });
  let open = false;
  /** Until all that is under way has been let go. */
  let alive = false;
  /** Runs whose handler is at work. One that has ended and is being written holds no place. */
  let executing = 0;
  /** Claimed, and waiting for a place. */
  const ready: Underway[] = [];
  /** How long a run's handler takes, in milliseconds: a moving average. */
  let pace = 2 * QUICK_MILLISECONDS;
  /** They hold a place, and are being kept. */
  const arriving = new Set<string>();
  /** Claims that are under way, and how many runs they may bring. */
  let claims = 0;
  let expected = 0;
  /** There may be more to claim than was claimed. */
  let backlog = false;
  let missed = new Set<string>();
  let heartbeat: NodeJS.Timeout | undefined;
  let poll: NodeJS.Timeout | undefined;
  let gather: NodeJS.Timeout | undefined;

  const wake = () => {
    backlog = true;
    if (claims === 0 && open) void claim();
  };

  const room = () => {
    const ahead = pace < QUICK_MILLISECONDS ? 4 * options.concurrency : 0;
    const places = options.concurrency + ahead - executing - ready.length - arriving.size;
    return Math.min(places, 10 * options.concurrency - underway.size) - expected;
  };

  const claim = async () => {
    claims++;
    try {
      for (let most = room(); backlog && open && !presence.stopped && most > 0; most = room()) {
        backlog = false;
        expected += most;
        const runs = await claimRuns(database, presence.id, most).finally(() => {
          expected -= most;
        });
        if (runs.length === most) backlog = true;
        if (runs.length > 0) await take(runs);
      }
    } catch (error) {
      log.warn("Claiming failed; trying again.", { error: String(error) });
    } finally {
      claims--;
    }
  };

  const take = async (runs: readonly ClaimedRun[]) => {
    const resumed = runs.filter((run) => run.claim > 1).map((run) => run.id);
    const kept = resumed.length > 0 ? Map.groupBy(await stepsOf(database, resumed), (step) => step.runId) : null;
    for (const run of runs) {
      const one: Underway = { run, kept: kept?.get(run.id) ?? [], halt: new Halt(), done: undefined };
      underway.set(run.id, one);
      ready.push(one);
    }
    if (backlog && claims === 1 && room() >= options.concurrency / 2) {
      // Sent before these runs begin, so that the database and this process work side by side.
      void claim();
      await new Promise((resolve) => setImmediate(resolve));
    }
    fill();
  };

  const reserve = (runIds: readonly string[]): Places | null => {
    const { id: worker, stopped } = presence;
    if (!open || stopped || backlog || claims > 0 || ready.length > 0 || !presence.holds()) return null;
    const ids = new Set(runIds.slice(0, Math.max(0, options.concurrency - executing - arriving.size)));
    if (ids.size === 0) return null;
    for (const id of ids) arriving.add(id);
    const begin = (kept: readonly ClaimedRun[]) => {
      for (const id of ids) arriving.delete(id);
      if (open && presence.id === worker) void take(kept);
    };
    // One turn of the event loop later: who has sent the event is answered first.
    return { worker, ids, begin: (kept) => void setImmediate(begin, kept) };
  };

  /** When no claim is under way any more: what one brings after a stop is handed back with the rest. */
  const claimed = async () => {
    while (claims > 0 || arriving.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  const fill = () => {
    while (open && ready.length > 0 && executing < options.concurrency) {
      const one = ready.shift()!;
      one.done = carry(one).finally(() => {
        if (underway.get(one.run.id) === one) underway.delete(one.run.id);
        replace();
      });
    }
  };

  const carry = async ({ run, kept, halt }: Underway) => {
    options.live.publish({ kind: "run", id: run.id, status: "running", name: run.handler });
    const began = performance.now();
    try {
      executing++;
      const written = await executeRun(run, options.handlers.get(run.handler), kept, halt, execution).finally(() => {
        executing--;
        pace += (performance.now() - began - pace) / 16;
        replace();
      });
      if (written) await letGo(run, written);
    } catch (error) {
      log.error("A run could not be written; it is taken over when its lease ends.", {
        run: run.id,
        error: String(error),
      });
    }
  };

  const replace = () => {
    if (open) fill();
    if (!backlog || gather) return;
    if (room() >= options.concurrency / 2) return wake();
    gather = setTimeout(() => {
      gather = undefined;
      wake();
    }, GATHER_MILLISECONDS);
  };

  const letGo = async (run: ClaimedRun, written: Release) => {
    const ours = await whileUseful(() => release(written), presence.holds).catch((error) =>
      // What cannot be written is written as that: the run ends with the reason.
      release({ ...written, ...NOTHING, status: "failed", error: toFailure(error) }),
    );
    if (!ours) return log.warn("Another worker has taken this run over; nothing was written.", { run: run.id });
    options.live.publish({ kind: "run", id: run.id, status: written.status, name: run.handler });
    if (run.keyed) wake();
    const asleep = written.waits.length > 0 || written.waiting?.kind === "approval";
    if (asleep && (await wakeDue(database, clock.now())) > 0) wake();
  };

  const interrupt = (runs: Iterable<Underway | undefined>, by: Interruption) => {
    for (const one of runs) one?.halt.now(by);
  };

  // A claim whose answer was lost, or a run that could not be written: the table says that we carry it, and we
  // do not. Seen twice in a row, it is given back.
  const handBackStrays = (carried: readonly string[]) => {
    const missing = claims > 0 ? [] : carried.filter((run) => !underway.has(run) && !arriving.has(run));
    const strays = missing.filter((run) => missed.has(run));
    missed = new Set(missing);
    if (strays.length === 0) return;
    log.warn("Handed back runs that this process does not carry.", { runs: strays });
    void handBack(database, presence.id, strays).then(wake, () => {});
  };

  const every = Math.min(POLL_MILLISECONDS, options.leaseMilliseconds / 4);
  // The heart beats on its own: however long looking around takes, the lease is renewed.
  const beat = async () => {
    try {
      await presence.beat();
      wake();
    } catch (error) {
      log.warn("The worker's heartbeat failed; trying again.", { error: String(error) });
    } finally {
      if (alive) heartbeat = setTimeout(beat, every);
    }
  };

  const look = async () => {
    let pause = every;
    try {
      // Who was frozen, or asleep with the whole machine, says so first: else it would take its own runs over.
      if (!presence.holds()) await presence.beat();
      const taken = await takeOver(database, options.leaseMilliseconds);
      if (taken.length > 0) log.warn("Took over the runs of a process that is gone.", { runs: taken.length });
      await wakeDue(database, clock.now());
      const next = await releaseHeld(database, clock.now());
      if (next) pause = Math.min(every, Math.max(SOONEST_MILLISECONDS, next.getTime() - clock.now().getTime()));
      wake();
    } catch (error) {
      if (open) log.warn("Looking for runs that are due failed; trying again.", { error: String(error) });
    } finally {
      if (open) poll = setTimeout(look, pause);
    }
  };

  return {
    async start() {
      await presence.start({
        onLost: () => interrupt(underway.values(), "lost"),
        onCarried: handBackStrays,
        onCanceled: (runIds) =>
          interrupt(
            runIds.map((id) => underway.get(id)),
            "canceled",
          ),
      });
      open = true;
      alive = true;
      heartbeat = setTimeout(beat, every);
      await look();
    },
    wake,
    reserve,
    async stop(drainMilliseconds) {
      open = false;
      clearTimeout(poll);
      clearTimeout(gather);
      gather = undefined;
      for (const { run } of ready.splice(0)) underway.delete(run.id);
      const all = Promise.all([claimed(), ...[...underway.values()].map((one) => one.done)]);
      const late = new Promise<"late">((resolve) => setTimeout(resolve, drainMilliseconds, "late").unref());
      if ((await Promise.race([all, late])) === "late") interrupt(underway.values(), "draining");
      await all;
      alive = false;
      clearTimeout(heartbeat);
      await handBack(database, presence.id);
      await presence.stop();
    },
  };
}

/**
 * Tries until it is done: a database that is away for a moment costs no work. False when it is of no use any more,
 * because others may have taken our runs meanwhile. Throws what no other try would mend.
 */
async function whileUseful(write: () => Promise<boolean>, useful: () => boolean): Promise<boolean> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isAway(error)) throw error;
      if (!useful()) return false;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
