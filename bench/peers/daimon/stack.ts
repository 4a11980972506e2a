import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { readPidFile } from "../../../core/store/embedded/leftovers.ts";
import { installEngine } from "../../engine.ts";
import { pause } from "../../figures.ts";
import { type RunningHouse, startHouse } from "../../house.ts";
import { familyOf } from "../../memory.ts";
import { ask, type BenchServer, type Connection, urlOf } from "../../postgres.ts";
import { backendsOf } from "../seed/stack.ts";
import { SECRET, type Stack } from "../stack.ts";

export interface DaimonOptions {
  /** One process for all, or one that accepts and one that works. */
  readonly processes: 1 | 2;
  /** A database name and home that nobody else has. */
  readonly name: string;
  /** Its own embedded database instead of one on the bench's server: one that it brings back when it is killed. */
  readonly embedded?: boolean;
}

/** `daimon start` with a capability that takes GitHub's deliveries and does nothing with them. */
export async function openDaimon(server: BenchServer, options: DaimonOptions): Promise<Stack> {
  const home = join(server.folder, `home-${options.name}`);
  mkdirSync(home, { recursive: true });
  const given = options.embedded ? null : await installEngine(server, "daimon", options.name);
  const values = {
    GITHUB_WEBHOOK_SECRET: SECRET,
    DAIMON_CAPABILITIES: join(import.meta.dirname, "../../capabilities"),
    ...(given ? { DATABASE_URL: urlOf(given) } : {}),
  };
  const run = (only: string) => startHouse({ home, only, values });
  const whole = options.processes === 1;
  let web: RunningHouse | undefined;
  let worker: RunningHouse | undefined;
  const killDatabase = () => process.kill(readPidFile(join(home, "postgres/data"))!.pid, "SIGKILL");
  // Who is broken off leaves no database behind.
  const atExit = () => {
    if (existsSync(join(home, "postgres/data/postmaster.pid"))) killDatabase();
  };
  process.once("exit", atExit);
  const connection = (): Connection => given ?? embeddedIn(home);
  return {
    name: whole ? "daimon, all in one process" : "daimon, what accepts and what works apart",
    settings: "as it comes; the capability's one trigger has an empty handler",
    get port() {
      return web!.port;
    },
    async start() {
      web = await run(whole ? "web,worker,clock" : "web");
      if (!whole) worker = await run("worker,clock");
    },
    async stopWork() {
      await (whole ? web : worker)!.stop();
      if (whole) web = await run("web");
    },
    async startWork() {
      if (!whole) {
        worker = await run("worker,clock");
        return;
      }
      await web!.stop();
      web = await run("web,worker,clock");
    },
    async strike() {
      killDatabase();
      await worker!.stop(0);
      await pause(1000);
      worker = await run("worker,clock");
      return "the worker and Postgres";
    },
    async done() {
      const rows = await ask<{ key: string; at: string }>(
        connection(),
        `select e.key, extract(epoch from r.finished_at) * 1000 as at from runs r join events e on e.id = r.event_id
         where r.status = 'completed'`,
      );
      return new Map(rows.map(({ key, at }) => [key, Number(at)]));
    },
    doneCount: async () =>
      (await ask<{ count: number }>(connection(), "select count(*) from runs where status = 'completed'"))[0]!.count,
    pids: () => familyOf([web, worker].flatMap((one) => one?.pid ?? [])),
    databasePids: () => backendsOf(connection()),
    async stop() {
      await worker?.stop();
      await web?.stop();
      if (given) await server.drop(options.name);
      process.off("exit", atExit);
    },
  };
}

function embeddedIn(home: string): Connection {
  const file = readPidFile(join(home, "postgres/data"));
  if (!file) throw new Error("the database is away");
  return { host: file.socketFolder, port: 5432, user: "daimon", database: "daimon" };
}
