import { mkdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Environment } from "../../base/environment.ts";
import { DaimonError, toFailure } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { chooseAccount, ownedBy } from "./account.ts";
import { findBinaries, linkLibraries } from "./binaries.ts";
import {
  type Cluster,
  checkVersion,
  clearUnfinished,
  isLaidDown,
  layDown,
  NAME,
  type Place,
  READY_MS,
  rotateLog,
  startServer,
  syncBehind,
} from "./cluster.ts";
import { clearLeftovers, end, folderOf, readPidFile, worksIn } from "./leftovers.ts";
import { takeLock } from "./lock.ts";
import { makeSocketFolder, removeFarFolder, socketFolder } from "./socket.ts";

/** The Postgres that all else stands on. */
export interface DatabaseServer {
  readonly connection: pg.PoolConfig;
  readonly kind: "embedded" | "given";
  readonly started: "cold" | "warm" | "attached" | "given";
  /** Settles, with what to tell, when an embedded server's files were removed. */
  readonly gone: Promise<DaimonError>;
  /** The last of the processes that use an embedded server shuts it down; a given one is left alone. */
  stop(): Promise<void>;
}

/** The connection that each process of ours keeps open: it sees the server die, and shows that we are here. */
const KEEPER = "daimon keeper";

/**
 * The database server: the one at `databaseUrl`, else the embedded Postgres below `<home>/postgres`, which
 * is laid down on the first start, attached to when it runs already, and brought back while this process
 * lives when it dies. Throws `store.platform`, `.version`, `.damaged`, `.owner`, `.root`, `.socket`, `.start`, `.unreachable`, `.unfit`.
 */
export async function startDatabase(environment: Environment, log: Log): Promise<DatabaseServer> {
  if (environment.databaseUrl) {
    await reach(environment.databaseUrl);
    return {
      connection: { connectionString: environment.databaseUrl },
      kind: "given",
      started: "given",
      gone: new Promise(() => {}),
      stop: async () => {},
    };
  }
  return new EmbeddedServer(log).start(environment.home);
}

/** Connections of a process that has all roles. */
const CONNECTIONS = 14;

const LOOK = `select current_setting('server_version_num')::integer / 10000 as major,
  current_setting('server_encoding') as encoding,
  least(nullif(rolconnlimit, -1), nullif(datconnlimit, -1), current_setting('max_connections')::integer) as connections
  from pg_roles, pg_database where rolname = current_user and datname = current_database()`;

async function reach(url: string): Promise<void> {
  try {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
    await client.connect();
    const { rows } = await client.query(LOOK).finally(() => client.end());
    const { major, encoding, connections } = rows[0];
    if (major < 15) throw unfit(`is PostgreSQL ${major}`, "Take one of version 15 or newer.");
    // SQL_ASCII keeps the bytes as they come; any other has no place for most of the world's letters.
    if (!["UTF8", "SQL_ASCII"].includes(encoding)) throw unfit(`has the encoding ${encoding}`, UTF8);
    if (connections < CONNECTIONS) throw unfit(`lets ${connections} connections in`, `Let it take ${CONNECTIONS}.`);
  } catch (error) {
    if (error instanceof DaimonError) throw error;
    // Of a host with two addresses.
    const { message } = error instanceof AggregateError ? (error.errors[0] as Error) : (error as Error);
    const next = "Is it right, like postgres://user:password@host:5432/name, and does that server run?";
    throw new DaimonError("store.unreachable", `The database of DATABASE_URL does not answer: ${message}.`, next);
  }
}

const UTF8 = "Make another: create database … encoding 'UTF8' template template0.";
const unfit = (what: string, next: string) =>
  new DaimonError("store.unfit", `The database of DATABASE_URL ${what}, with which Daimon cannot work.`, next);

/**
 * A server in a fresh home that nobody watches, for tests and benches: `settings` come before ours. Whoever
 * calls this ends it: SIGQUIT to `pid`, then remove the home.
 */
export async function startServerIn(
  home: string,
  settings: Record<string, string> = {},
): Promise<{ connection: pg.PoolConfig; pid: number }> {
  const place = findPlace(home);
  const release = await takeLock(join(place.folder, "lock"));
  try {
    const cluster = await prepare(place, settings);
    await layDown(cluster);
    const pid = await startServer(cluster);
    return { connection: { ...connectionOf(place), database: "postgres" }, pid };
  } finally {
    release();
  }
}

class EmbeddedServer {
  readonly #log: Log;
  #place!: Place;
  #keeper!: pg.Client;
  #stopping = false;
  #restoring: Promise<void> = Promise.resolve();
  #restoredAt = 0;
  #pid = 0;
  #looking: NodeJS.Timeout | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  async start(home: string): Promise<DatabaseServer> {
    this.#place = findPlace(home);
    const { keeper, started } = await ensure(this.#place, { layDown: true });
    this.#watch(keeper);
    return {
      connection: connectionOf(this.#place),
      kind: "embedded",
      started,
      gone: this.#watchFiles(),
      stop: () => this.#stop(),
    };
  }

  /** Postgres itself sees it only a minute later, and takes in until then what nobody finds again. */
  #watchFiles(): Promise<DaimonError> {
    const { data } = this.#place;
    const inode = () => statSync(data, { throwIfNoEntry: false })?.ino;
    const first = inode();
    return new Promise((resolve) => {
      const look = async () => {
        if (inode() === first) return;
        clearInterval(this.#looking);
        const folder = folderOf(this.#pid) ?? data;
        if (worksIn(this.#pid, folder)) await end(this.#pid, folder, "SIGQUIT");
        resolve(goneError(this.#place));
      };
      // What cannot be looked at for a moment is not gone.
      this.#looking = setInterval(() => look().catch(() => {}), 500).unref();
    });
  }

  #watch(keeper: pg.Client): void {
    this.#keeper = keeper;
    this.#pid = readPidFile(this.#place.data)?.pid ?? this.#pid;
    keeper.once("end", () => {
      if (!this.#stopping) this.#restoring = this.#restore();
    });
  }

  async #restore(): Promise<void> {
    const since = Date.now();
    this.#log.warn("The database is gone; it is being started again.");
    if (since - this.#restoredAt < 1_000) await sleep(250);
    for (let pause = 100; !this.#stopping; pause = Math.min(pause * 2, 1_000)) {
      try {
        const { keeper } = await ensure(this.#place, { layDown: false });
        this.#watch(keeper);
        this.#restoredAt = Date.now();
        this.#log.info("The database is back.", { milliseconds: Date.now() - since });
        return;
      } catch (error) {
        this.#log.error("The database does not start.", { error: toFailure(error) });
        await sleep(pause);
      }
    }
  }

  async #stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#looking);
    await this.#restoring;
    const release = await takeLock(join(this.#place.folder, "lock"));
    try {
      const others = await this.#keeper
        .query("select 1 from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()", [KEEPER])
        .then(
          (result) => result.rowCount,
          () => null,
        );
      await this.#keeper.end();
      if (others === 0) await shutDown(this.#place);
    } finally {
      release();
    }
  }
}

function goneError({ data }: Place): DaimonError {
  const message = `${data} was moved or removed while Daimon ran.`;
  return new DaimonError("store.gone", message, "Bring it or a backup back, or begin anew with npm start.");
}

function connectionOf(place: Place): pg.PoolConfig {
  return { host: place.socketFolder, port: 5432, user: NAME, database: NAME, ssl: false };
}

function findPlace(home: string): Place {
  const self = process.getuid?.() ?? -1;
  mkdirSync(join(home, "postgres"), { recursive: true, mode: 0o700 });
  const folder = realpathSync(join(home, "postgres"));
  const owner = statSync(folder).uid;
  if (self !== 0 && owner !== self) throw ownedBy(folder, owner, self);
  const data = join(folder, "data");
  return {
    folder,
    data,
    log: join(folder, "log"),
    socketFolder: socketFolder(folder, readPidFile(data)?.socketFolder),
  };
}

async function ensure(
  place: Place,
  may: { layDown: boolean },
): Promise<{ keeper: pg.Client; started: "cold" | "warm" | "attached" }> {
  const { major } = findBinaries();
  const release = await takeLock(join(place.folder, "lock"));
  try {
    const isThere = isLaidDown(place);
    if (isThere) checkVersion(place, major);
    if (!isThere && !may.layDown) throw goneError(place);
    const running = isThere ? await attach(place) : null;
    if (running) return { keeper: running, started: "attached" };
    const cluster = await prepare(place);
    if (!isThere) await layDown(cluster);
    await startServer(cluster);
    if (!isThere) {
      await nameDatabase(place);
      syncBehind(cluster);
    }
    return { keeper: await connectKeeper(place), started: isThere ? "warm" : "cold" };
  } finally {
    release();
  }
}

/** Makes the place ready for a server, when none runs there. */
async function prepare(place: Place, settings: Record<string, string> = {}): Promise<Cluster> {
  await clearLeftovers(place.data);
  clearUnfinished(place);
  const binaries = findBinaries();
  const account = await chooseAccount(binaries.postgres, { home: dirname(place.folder), ...place });
  account.give(join(place.folder, "lock"));
  const environment = linkLibraries(binaries, join(place.folder, "lib"));
  rotateLog(place);
  makeSocketFolder(place.socketFolder, account);
  return { ...place, binaries, account, environment, settings };
}

/** Our connection to the server that runs already, or null when none does. Waits while it starts or recovers. */
async function attach(place: Place): Promise<pg.Client | null> {
  const until = Date.now() + READY_MS;
  for (;;) {
    const file = readPidFile(place.data);
    if (!file) return null;
    try {
      return await connectKeeper(place);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      const isUnreachable = ["ENOENT", "ECONNREFUSED"].includes(code);
      if (isUnreachable && !worksIn(file.pid, place.data)) return null;
      if (isUnreachable && file.status === "ready") return null;
      // 57P03: it starts, recovers or stops. 57P01, 57P02, ECONNRESET: it went away just now.
      if (!isUnreachable && !["57P01", "57P02", "57P03", "ECONNRESET", "EPIPE", ""].includes(code)) throw error;
      if (Date.now() > until) throw error;
      await sleep(5);
    }
  }
}

async function connectKeeper(place: Place): Promise<pg.Client> {
  try {
    return await connectTo(place, NAME);
  } catch (error) {
    const NO_SUCH_DATABASE = "3D000";
    if ((error as { code?: string }).code !== NO_SUCH_DATABASE) throw error;
  }
  await nameDatabase(place);
  return connectTo(place, NAME);
}

/** Renames the database that initdb made: 2 ms, where creating another takes 200. */
async function nameDatabase(place: Place): Promise<void> {
  const client = await connectTo(place, "template1");
  await client.query(`alter database postgres rename to ${NAME}`).finally(() => client.end());
}

async function connectTo(place: Place, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    ...connectionOf(place),
    database,
    application_name: KEEPER,
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function shutDown(place: Place): Promise<void> {
  const file = readPidFile(place.data);
  if (file && worksIn(file.pid, place.data)) await end(file.pid, place.data, "SIGINT");
  removeFarFolder(place.folder, place.socketFolder);
}
