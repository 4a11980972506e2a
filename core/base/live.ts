/** Something changed just now. For whoever is watching; nothing is kept. */
export interface LiveChange {
  readonly kind:
    | "event"
    | "run"
    | "step"
    | "message"
    | "approval"
    | "schedule"
    /** A trigger or a source was paused or resumed. */
    | "pause"
    | "refusal"
    | "issue"
    /** A piece of an answer that is being written: `id` is the run. */
    | "delta"
    /** A tool of an agent started, completed or failed: `id` is the run. */
    | "tool";
  readonly id: string;
  readonly status?: string;
  readonly text?: string;
  readonly name?: string;
}

export interface Live {
  publish(change: LiveChange): void;
  /** Returns how to stop listening. */
  subscribe(listener: (change: LiveChange) => void): () => void;
}

/** Publish and subscribe within this process. A listener must not throw. */
export function createLive(): Live {
  const listeners = new Set<(change: LiveChange) => void>();
  return {
    publish: (change) => {
      for (const listener of listeners) listener(change);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
