import { newId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { Database } from "../store/database.ts";
import { deregisterProcess, pulse, registerProcess } from "../store/processes.ts";

/** What a worker is told by its process's presence. */
export interface PresenceListener {
  /** This process was given up for dead, or has not reached the database for a whole lease. */
  onLost(): void;
  onCanceled(runIds: readonly string[]): void;
  /** What the table says that this process carries. */
  onCarried(runIds: readonly string[]): void;
}

/** A process's place among those that work on one database. Its row is the lease on all runs it carries. */
export interface Presence {
  /** Changes when the process comes back from being given up for dead. */
  readonly id: string;
  /** STOP is on. */
  readonly stopped: boolean;
  /** How many other processes there are. */
  readonly others: number;
  start(listener: PresenceListener): Promise<void>;
  /** Says that we are alive, and hears what changed. Throws when the database is away. */
  beat(): Promise<void>;
  /** True while nobody else may have taken our runs. */
  holds(): boolean;
  stop(): Promise<void>;
}

/** A lease of `leaseMilliseconds`, renewed by `beat`. */
export function createPresence(options: {
  /** Better one of its own: a heart that waits for others to be served does not beat in time. */
  heart: Database;
  roles: readonly string[];
  leaseMilliseconds: number;
  /** Told, again and again, while the database has not answered for a whole lease. */
  onSilence?: () => void;
  log: Log;
}): Presence {
  const { heart, roles } = options;
  let listener: PresenceListener = { onLost: () => {}, onCanceled: () => {}, onCarried: () => {} };
  let id = "";
  let stopped = false;
  let others = 0;
  let seenAt = 0;
  let beating: Promise<void> | undefined;

  const register = async () => {
    id = newId("prc");
    await registerProcess(heart, id, roles);
    seenAt = performance.now();
  };
  const holds = () => performance.now() - seenAt < options.leaseMilliseconds;

  const beat = async () => {
    const asked = performance.now();
    const heard = await pulse(heart, id).catch((error) => {
      // Out of reach for a whole lease: others may have taken our runs, and we cannot ask.
      if (!holds()) {
        listener.onLost();
        options.onSilence?.();
      }
      throw error;
    });
    stopped = heard.stopped;
    others = heard.others;
    if (!heard.alive) {
      options.log.warn("This process was away for longer than its lease; what it carried is taken over.");
      listener.onLost();
      // Under a new name: what the old one carried is nobody's now, and is queued again.
      return await register();
    }
    // Counted from before the question, so that our lease never seems longer to us than to the others.
    seenAt = asked;
    listener.onCanceled(heard.canceled);
    listener.onCarried(heard.carried);
  };

  return {
    get id() {
      return id;
    },
    get stopped() {
      return stopped;
    },
    get others() {
      return others;
    },
    holds,
    async start(who) {
      listener = who;
      await register();
      await this.beat();
    },
    beat() {
      beating ??= beat().finally(() => {
        beating = undefined;
      });
      return beating;
    },
    stop: () => deregisterProcess(heart, id),
  };
}
