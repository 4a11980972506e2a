import type { Database } from "../database.ts";

/** What was spent, and on what. Days are the owner's. */
export interface CostsView {
  readonly today: number;
  readonly month: number;
  /** Every day of the span, oldest first, those without a call included. `day` is `2026-11-22`. */
  readonly days: readonly { readonly day: string; readonly usd: number; readonly calls: number }[];
  readonly models: readonly {
    readonly model: string;
    readonly calls: number;
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly cacheReadTokens: number;
    readonly cacheWriteTokens: number;
    readonly usd: number;
  }[];
  /** The last 20 model calls, newest first. */
  readonly calls: readonly {
    readonly runId: string;
    readonly step: string;
    readonly at: Date;
    readonly model: string;
    readonly promptTokens: number;
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly usd: number;
    readonly demo: boolean;
  }[];
}

const SUM = (name: string) => `coalesce(sum((detail ->> '${name}')::bigint), 0) as "${name}"`;
const NUMBER = (name: string) => `coalesce((detail ->> '${name}')::bigint, 0) as "${name}"`;

/** Costs of the model calls since a time. `zone` is the owner's IANA zone. */
export async function readCosts(
  database: Database,
  span: { since: Date; now: Date; zone: string },
): Promise<CostsView> {
  const { since, now, zone } = span;
  const [spent, days, models, calls] = await Promise.all([
    readSpent(database, now, zone),
    database.query<CostsView["days"][number]>(
      `select to_char(d, 'YYYY-MM-DD') as day, coalesce(usd, 0) as usd, coalesce(calls, 0) as calls
       from generate_series(($1::timestamptz at time zone $3)::date, ($2::timestamptz at time zone $3)::date, interval '1 day') d
       left join (
         select (started_at at time zone $3)::date as day, sum(usd) as usd, count(*) as calls
         from steps where kind = 'model' and started_at >= $1 group by 1) s on s.day = d::date
       order by d`,
      [since, now, zone],
    ),
    database.query<CostsView["models"][number]>(
      `select coalesce(detail ->> 'model', 'unknown') as model, count(*) as calls, ${SUM("inputTokens")}, ${SUM("outputTokens")},
         ${SUM("cacheReadTokens")}, ${SUM("cacheWriteTokens")}, sum(usd) as usd
       from steps where kind = 'model' and started_at >= $1 group by 1 order by sum(usd) desc, 1`,
      [since],
    ),
    database.query<CostsView["calls"][number]>(
      `select run_id as "runId", key as step, started_at as at, coalesce(detail ->> 'model', 'unknown') as model,
         ${NUMBER("promptTokens")}, ${NUMBER("inputTokens")}, ${NUMBER("outputTokens")}, usd,
         coalesce((detail ->> 'demo')::boolean, false) as demo
       from steps where kind = 'model' and started_at >= $1 order by started_at desc, run_id desc, key desc limit 20`,
      [since],
    ),
  ]);
  return { ...spent, days, models, calls };
}

/** US dollars spent this day and this month of the owner's, as the limits count them. */
export async function readSpent(
  database: Database,
  now: Date,
  zone: string,
): Promise<{ today: number; month: number }> {
  const [row] = await database.query<{ today: number; month: number }>(
    `select coalesce(sum(spent) filter (where scope = 'day:' || to_char($1::timestamptz at time zone $2, 'YYYY-MM-DD')), 0) as today,
       coalesce(sum(spent) filter (where scope = 'month:' || to_char($1::timestamptz at time zone $2, 'YYYY-MM')), 0) as month
     from spend where scope in ('day:' || to_char($1::timestamptz at time zone $2, 'YYYY-MM-DD'),
       'month:' || to_char($1::timestamptz at time zone $2, 'YYYY-MM'))`,
    [now, zone],
  );
  return row!;
}
