import pg from "pg";

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

/** Opens a pool of at most `connections` (default 10). An idle connection that breaks is replaced in silence. */
export function connect(options: pg.PoolConfig & { connections?: number }): Database {
  const { connections = 10, ...rest } = options;
  const pool = new pg.Pool({ max: connections, application_name: "daimon", ...rest });
  pool.on("error", () => {});
  return {
    query: (text, values, name) => rows(pool, text, values, name),
    async transaction(work) {
      const client = await pool.connect();
      let broken: Error | undefined;
      const inside: Database = {
        query: (text, values, name) => rows(client, text, values, name),
        transaction: (inner) => inner(inside),
        close: async () => {},
      };
      try {
        await client.query("begin");
        const result = await work(inside);
        await client.query("commit");
        return result;
      } catch (error) {
        await client.query("rollback").catch((lost: Error) => {
          broken = lost;
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
  const result = await client.query(name ? { text, values, name } : { text, values });
  return result.rows as Row[];
}

/**
 * True when the database is away, or asks to be tried again (SQLSTATE classes 08, 40, 53, 57): the same statement may
 * work in a moment. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isAway(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === "string" && /^((08|40|53|57)[0-9A-Z]{3}|ECONN.*|ENOENT|EPIPE|ETIMEDOUT)$/.test(code)) return true;
  return /connection terminated|connection error|timeout exceeded|server closed/i.test(String(message));
}
