import type { Database } from "../database.ts";
import { readSpend } from "../spend.ts";

const SUM = (name: string) => `coalesce(sum((detail ->> '${name}')::bigint), 0) as "${name}"`;
const NUMBER = (name: string) => `coalesce((detail ->> '${name}')::bigint, 0) as "${name}"`;
const MODEL = "coalesce(detail ->> 'model', 'unknown') as model";

/**
 * The model calls since a time: by day of the owner's `zone` (every day of the span, oldest first), by model,
 * and the last 20.
 */
export async function readCosts(
  database: Database,
  span: { since: Date; now: Date; zone: string },
): Promise<{ days: object[]; models: object[]; calls: object[] }> {
  const { since, now, zone } = span;
  const [days, models, calls] = await Promise.all([
    database.query<object>(
      `select to_char(d, 'YYYY-MM-DD') as day, coalesce(usd, 0) as usd, coalesce(calls, 0) as calls
       from generate_series(($1::timestamptz at time zone $3)::date, ($2::timestamptz at time zone $3)::date, interval '1 day') d
       left join (
         select (started_at at time zone $3)::date as day, round(sum(usd)::numeric, 9) as usd, count(*) as calls
         from steps where kind = 'model' and started_at >= $1 group by 1) s on s.day = d::date
       order by d`,
      [since, now, zone],
    ),
    database.query<object>(
      `select ${MODEL}, count(*) as calls, ${SUM("inputTokens")}, ${SUM("outputTokens")},
         ${SUM("cacheReadTokens")}, ${SUM("cacheWriteTokens")}, round(sum(usd)::numeric, 9) as usd
       from steps where kind = 'model' and started_at >= $1 group by 1 order by sum(usd) desc, 1`,
      [since],
    ),
    database.query<object>(
      `select run_id as "runId", key as step, started_at as at, ${MODEL}, ${NUMBER("promptTokens")},
         ${NUMBER("inputTokens")}, ${NUMBER("outputTokens")}, round(usd::numeric, 9) as usd, coalesce((detail ->> 'demo')::boolean, false) as demo
       from steps where kind = 'model' and started_at >= $1 order by started_at desc, run_id desc, key desc limit 20`,
      [since],
    ),
  ]);
  return { days, models, calls };
}

/** US dollars spent this day and this month of the owner's, as the limits count them. */
export async function readSpent(
  database: Database,
  now: Date,
  zone: string,
): Promise<{ today: number; month: number }> {
  // The Canadian form of a date is the ISO one.
  const day = new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(now);
  const [today, month] = await readSpend(database, [`day:${day}`, `month:${day.slice(0, 7)}`]);
  return { today: today!.spentUsd, month: month!.spentUsd };
}
