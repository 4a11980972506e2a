import { isRunning, pidSpace } from "../base/neighbours.ts";
import type { RunStatus } from "../define/run.ts";
import type { Database } from "./database.ts";
import { fileFailedRuns } from "./issues.ts";

/** Says that a process is alive. */
export async function registerProcess(database: Database, id: string, roles: readonly string[]): Promise<void> {
  const values = [id, roles, process.pid, pidSpace()];
  await database.query("insert into processes (id, roles, pid, pid_space) values ($1, $2, $3, $4)", values);
}

export async function deregisterProcess(database: Database, id: string): Promise<void> {
  await database.query("delete from processes where id = $1", [id]);
}

/** What a process hears when it says that it is alive. */
export interface Pulse {
  /** False: it was given up for dead while it was frozen, and its runs were taken from it. */
  readonly alive: boolean;
  readonly stopped: boolean;
  /** How many other processes work on this database. */
  readonly others: number;
  /** Its runs that are to be canceled: after STOP all of them, those that it claimed before it heard of it, too. */
  readonly canceled: readonly string[];
  /** All that it carries, as the table has it. */
  readonly carried: readonly string[];
}

/** Renews the lease of a process on all runs it carries. */
export async function pulse(database: Database, id: string): Promise<Pulse> {
  const [row] = await database.query<Pulse>(
    `with me as (update processes set seen_at = now(), backend = pg_backend_pid() where id = $1 returning id)
     select exists (select from me) as alive, stopped,
       (select count(*) from processes where id <> $1)::integer as others,
       array(select r.id from runs r where r.worker = $1 and r.status = 'running' and (r.cancel or stopped)) as canceled,
       array(select r.id from runs r where r.worker = $1 and r.status = 'running') as carried
     from (select exists (select from switches where name = 'stop' and value = 'true'::jsonb) as stopped) switch`,
    [id],
    "pulse",
  );
  return row!;
}

/** How often a process says that it is alive. */
function heartbeatMilliseconds(leaseMilliseconds: number): number {
  return Math.min(1000, leaseMilliseconds / 4);
}

/** Runs that died with their worker this often, without letting go once, are not tried again. */
const MOST_CRASHES = 20;

/**
 * Takes over the runs of processes that are dead: gone from this machine, or not seen for `leaseMilliseconds`, or for
 * two heartbeats since the server has closed their connection (not because it was itself started anew since: then all
 * must have the time to come back). They are queued again, with a new fence, so that a process which was only frozen cannot
 * write over its successor; but one that was to be canceled is, and one that has taken many workers down with it fails.
 * Returns the ids of all.
 */
export async function takeOver(database: Database, leaseMilliseconds: number): Promise<string[]> {
  return await database.transaction(async (inside) => {
    const taken = await takeOrphans(inside, leaseMilliseconds);
    const failed = taken.filter((run) => run.status === "failed");
    await fileFailedRuns(
      inside,
      failed.map(({ id }) => ({ id, error: CRASHED })),
    );
    return taken.map((run) => run.id);
  });
}

async function takeOrphans(inside: Database, leaseMilliseconds: number): Promise<{ id: string; status: RunStatus }[]> {
  const neighbours = await inside.query<{ id: string; pid: number }>(
    "select id, pid from processes where pid_space = $1",
    [pidSpace()],
    "neighbours",
  );
  const killed = neighbours.filter(({ pid }) => !isRunning(pid)).map(({ id }) => id);
  return await inside.query(
    `with gone as (
       select p.id from processes p where p.seen_at < now() - make_interval(secs => $4::double precision / 1000)
         and p.seen_at > (select max(backend_start) from pg_stat_activity where backend_type = 'checkpointer')
         and not exists (select from pg_stat_activity a where a.pid = p.backend and a.backend_start <= p.seen_at)
     ), dead as (
       delete from processes where seen_at < now() - make_interval(secs => $1::double precision / 1000)
         or id in (select id from gone) or id = any($5) returning id
     ), orphans as (
       select r.id from runs r where r.status = 'running'
         and (r.worker in (select id from dead) or not exists (select from processes p where p.id = r.worker))
       for update skip locked
     )
     update runs r set claim = r.claim + 1, crashes = r.crashes + 1, worker = null,
       status = case when r.cancel then 'canceled' when r.crashes >= $2 then 'failed' else 'queued' end,
       finished_at = case when r.cancel or r.crashes >= $2 then now() end,
       error = case when r.crashes >= $2 and not r.cancel then $3::jsonb else r.error end
     from orphans where r.id = orphans.id returning r.id, r.status`,
    [leaseMilliseconds, MOST_CRASHES, JSON.stringify(CRASHED), 2 * heartbeatMilliseconds(leaseMilliseconds), killed],
    "take-over",
  );
}

const CRASHED = {
  code: "run.crashed",
  message: `Its worker died ${MOST_CRASHES} times while it ran.`,
  next: "Look into the log for what ended the process, then retry the run.",
};

/** Gives runs of a worker back at once: those named, else all, as a worker does that shuts down. Canceled ones end. */
export async function handBack(database: Database, worker: string, runIds?: readonly string[]): Promise<void> {
  await database.query(
    `update runs set status = case when cancel then 'canceled' else 'queued' end, claim = claim + 1, worker = null,
       finished_at = case when cancel then now() end
     where worker = $1 and status = 'running' and ($2::text[] is null or id = any($2))`,
    [worker, runIds ?? null],
  );
}

/** Sets STOP: nothing is claimed while it is on. */
export async function setStopped(database: Database, stopped: boolean): Promise<void> {
  await database.query(
    `insert into switches (name, value) values ('stop', $1) on conflict (name) do update set value = $1, changed_at = now()`,
    [JSON.stringify(stopped)],
  );
  if (stopped) await database.query("update runs set cancel = true where status = 'running'");
}
