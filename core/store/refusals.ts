import { createBatch } from "../base/batch.ts";
import type { Database } from "./database.ts";

export interface Refusal {
  readonly source: string;
  readonly reason: string;
}

/** Counts requests that were not let in. Nothing of their content is kept. */
export function createRefusalCounter(database: Database): (refusal: Refusal) => Promise<void> {
  return createBatch(
    async (refusals: Refusal[]) => {
      const counts = Map.groupBy(refusals, (refusal) => JSON.stringify([refusal.source, refusal.reason]));
      const rows = [...counts].map(([key, same]) => [...JSON.parse(key), same.length]).sort();
      await database.query(
        `insert into refusals (source, reason, count) select * from unnest($1::text[], $2::text[], $3::bigint[])
         on conflict (source, reason) do update set count = refusals.count + excluded.count, last_at = now()`,
        [rows.map((row) => row[0]), rows.map((row) => row[1]), rows.map((row) => row[2])],
      );
      return refusals.map(() => undefined);
    },
    { most: 1000, lanes: 1 },
  );
}
