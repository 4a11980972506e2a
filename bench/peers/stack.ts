/** A whole system that takes GitHub's signed deliveries and does something about each: what is measured from outside. */
export interface Stack {
  readonly name: string;
  readonly settings: string;
  /** Where it listens now. */
  readonly port: number;
  /** Starts all of its processes and returns when they are spawned or ready, whichever it can tell. */
  start(): Promise<void>;
  /** Stops what works, in order, and leaves what accepts. */
  stopWork(): Promise<void>;
  startWork(): Promise<void>;
  /** kill -9 of what works and of what holds the work, and brings both back a second later. Says what that was. */
  strike(): Promise<string>;
  /** When each delivery was done, in milliseconds since 1970. Throws while the database is away. */
  done(): Promise<Map<string, number>>;
  doneCount(): Promise<number>;
  /** Its processes without the database's. */
  pids(): number[];
  /** The processes of its database that serve it. */
  databasePids(): Promise<number[]>;
  /** Ends all of it, and its database. */
  stop(): Promise<void>;
}

/** The secret that both sides know. */
export const SECRET = "bench-secret-of-the-github-webhook";
