import type { Connection } from "../postgres.ts";

/** What is carried: nothing at all, or five steps, each kept before the next begins. */
export type Kind = "noop" | "steps";

/** What the bench's handlers do, the same for every engine. */
export interface Handlers {
  noop(n: number): void;
  /** Calls `step` five times in turn; `step` keeps what `code` returns, and returns what is kept. */
  steps(n: number, step: (name: string, code: () => Promise<object>) => Promise<unknown>): Promise<{ sum: number }>;
}

/** An event as it arrives at the door: its raw body and headers, to be kept in the table `events`. */
export interface Arrival {
  readonly id: string;
  readonly key: string;
  readonly n: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly parsed: unknown;
  /** Nothing is to be done about it: the event is kept, and no work. Only ours is asked so. */
  readonly alone: boolean;
}

export interface OpenOptions {
  readonly connection: Connection;
  /** Whether this process carries work, or only enqueues it. */
  readonly carries: boolean;
  readonly handlers: Handlers;
  /** Connections for what is accepted one by one. */
  readonly acceptConnections: number;
  /** Set for takeover: as short a lease as the engine allows. */
  readonly shortLease: boolean;
  /** A name that a restarted process has again. */
  readonly name: string;
}

/** One engine, opened in one process. */
export interface OpenEngine {
  /** Carries work from now on. */
  start(): Promise<void>;
  /** Carries none any more; may be started again. */
  stop(): Promise<void>;
  /** One piece of work in a commit of its own. */
  enqueue(kind: Kind, n: number): Promise<void>;
  /** Much work, the fastest way there is. */
  enqueueMany(kind: Kind, first: number, count: number): Promise<void>;
  /** The event and its work in one transaction, as the engine's documents say it. */
  accept(arrival: Arrival): Promise<void>;
  /** The same for many arrivals that share a commit; missing: `accept` does so by itself. */
  acceptMany?(arrivals: readonly Arrival[]): Promise<void>;
}

/** How the bench drives an engine. */
export interface Adapter {
  readonly name: string;
  /** What was set for speed, told in the table. */
  readonly settings: string;
  /** Why it cannot be measured on this machine, if it cannot. */
  readonly needs?: () => string | null;
  /** Lays its tables into an empty database that has the table `events`. */
  install(connection: Connection): Promise<void>;
  open(options: OpenOptions): Promise<OpenEngine>;
  /** Selects one boolean, `left`: whether any work is not finished. */
  readonly left: string;
  /** Statements that multiply the finished work that is there to so many rows; a sentence: why there is no history. */
  readonly history: ((rows: number) => readonly string[]) | string;
  /** Who takes over the work of a process that was killed; a sentence: why nobody does. */
  readonly takeover: "another" | "restart" | string;
}
