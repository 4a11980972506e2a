import { Socket } from "node:net";
import pg from "pg";
import { DaimonError } from "../base/errors.ts";

/** A connection to the one truth. All SQL of the house is written in this folder and spoken through this. */
export interface Database {
  /** Rows of one statement. A `name` keeps it prepared on each connection. */
  query<Row>(text: string, values?: unknown[], name?: string): Promise<Row[]>;
  /** Runs `work` in one transaction; rolls back when it throws. */
  transaction<Result>(work: (database: Database) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

// Times come as Date, json as values (pg's defaults); bigint counts fit a number here.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.NUMERIC, Number);

/** A transaction that idles for so long is ended by the server: its process is frozen, and others wait for its locks. */
const MOST_IDLE_MILLISECONDS = 10_000;

/**
 * Makes the sockets of connections (`stream`), so that all can be broken off by whoever knows that nobody answers any more:
 * a machine that has lost its power says no farewell, and TCP would wait for it for a quarter of an hour.
 */
export function openLines(): { stream(): Socket; breakOff(): void } {
  const open = new Set<Socket>();
  return {
    stream() {
      const socket = new Socket();
      open.add(socket);
      return socket.once("close", () => open.delete(socket));
    },
    breakOff() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** Opens a pool of at most `connections` (default 10). A connection that breaks is replaced in silence. */
export function connect(options: pg.PoolConfig & { connections?: number }): Database {
  const { connections = 10, ...rest } = options;
  const defaults = { application_name: "daimon", idle_in_transaction_session_timeout: MOST_IDLE_MILLISECONDS };
  const pool = new pg.Pool({ max: connections, ...defaults, ...rest });
  pool.on("error", () => {});
  // A connection may break between two statements or while it changes hands, when nobody waits for an answer: the next
  // statement tells, and the pool keeps no connection that is not good for one.
  pool.on("connect", (client) => client.on("error", () => {}));
  return {
    query: (text, values, name) => rows(pool, text, values, name),
    async transaction(work) {
      const client = await pool.connect().catch(markAway);
      let broken: Error | undefined;
      const inside: Database = {
        query: (text, values, name) => rows(client, text, values, name),
        transaction: (inner) => inner(inside),
        close: async () => {},
      };
      try {
        await inside.query("begin");
        const result = await work(inside);
        await inside.query("commit");
        return result;
      } catch (error) {
        await client.query("rollback").catch((failure) => {
          broken = failure;
        });
        throw error;
      } finally {
        client.release(broken);
      }
    },
    close: () => pool.end(),
  };
}

async function rows<Row>(
  client: pg.Pool | pg.PoolClient,
  text: string,
  values: unknown[] = [],
  name?: string,
): Promise<Row[]> {
  const result = await client.query(name ? { text, values, name } : { text, values }).catch(markAway);
  return result.rows as Row[];
}

/** On an error of ours, so that a broken connection of somebody else's code is not taken for the database's. */
const AWAY = Symbol("the database is away");

/**
 * True when the database is away, or asks to be tried again (SQLSTATE classes 08, 40, 53, 57; 25006 a replica that is not
 * promoted yet): the same statement may work in a moment. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isAway(error: unknown): boolean {
  return typeof error === "object" && error !== null && AWAY in error;
}

/** What the database does not do, in a sentence; undefined when the error is of something else. */
export function toRefusal(error: unknown): DaimonError | undefined {
  if (!(error instanceof pg.DatabaseError || isAway(error))) return undefined;
  const message = `The database does not do what is asked of it: ${(error as Error).message}.`;
  return new DaimonError("store.refused", message, NEXT);
}

const NEXT = "It must be Daimon's alone, and its role its owner, who may write into it. Then start again.";

function markAway(error: Error & { code?: unknown }): never {
  const { code, message } = error;
  const known =
    /^((08|40|53|57)[0-9A-Z]{3}|25006|25P03|ECONN.*|E(HOST|NET)UNREACH|ENOENT|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT)$/.test(
      String(code),
    );
  const told = /connection terminated|connection error|timeout exceeded|server closed/i.test(message);
  throw known || (code === undefined && told) ? Object.assign(error, { [AWAY]: true }) : error;
}
