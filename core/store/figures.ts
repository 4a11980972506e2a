import { firstId } from "../base/ids.ts";
import { OPEN } from "./approvals.ts";
import type { Database } from "./database.ts";
import { EVENTS_OF_RUN, stands } from "./filters.ts";

/** What /metrics tells. */
export interface Figures {
  readonly events: readonly { source: string; outcome: string; count: number }[];
  readonly runs: readonly { status: string; count: number }[];
  readonly refusals: readonly { source: string; reason: string; count: number }[];
  readonly issues: readonly { kind: string; count: number }[];
  readonly oldestSeconds: number;
  readonly approvals: number;
}

/** Figures from indexes alone; the count of events is of the last day. */
export async function readFigures(database: Database): Promise<Figures> {
  const since = firstId("evt", Date.now() - 86_400_000);
  const [events, runs, refusals, issues, rest] = await Promise.all([
    database.query<Figures["events"][number]>(
      `select source, case when d.id is null and problem is null then outcome else 'dead' end as outcome, count(*) as count
       from events e left join (
         select distinct o.event_id as id from runs r ${EVENTS_OF_RUN} where status = 'failed' and o.event_id > $1 and ${stands("o.event_id")}) d on d.id = e.id
       where e.id > $1 group by 1, 2`,
      [since],
    ),
    database.query<Figures["runs"][number]>(
      "select status, count(*) as count from runs where status in ('queued', 'running', 'waiting') group by status union all select 'failed', count(*) from runs where status = 'failed'",
    ),
    database.query<Figures["refusals"][number]>("select source, reason, count from refusals"),
    database.query<Figures["issues"][number]>(
      `select k.kind, (select count(*) from issues i where i.kind = k.kind and i.status = 'open') as count
       from unnest(array['failure', 'silence', 'shape']) as k(kind)`,
    ),
    database.query<{ oldestSeconds: number; approvals: number }>(
      `select coalesce(extract(epoch from now() - (select min(created_at) from runs where status = 'queued')), 0)::double precision as "oldestSeconds",
         (select count(*) from approvals where ${OPEN("now()")}) as approvals`,
    ),
  ]);
  return { events, runs, refusals, issues, ...rest[0]! };
}
