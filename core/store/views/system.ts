import { OPEN } from "../approvals.ts";
import type { Database } from "../database.ts";

/** The state of the whole as `GET /api/status` answers it, the checklist `steps` of the first five minutes included. */
export interface StatusView {
  readonly counts: object;
  readonly approvals: number;
  /** How many are open. */
  readonly issues: number;
  readonly stopped: boolean;
  readonly steps: object;
}

/** Reads the status; every part of it stands in an index, however many runs are finished. Only a paused run has no time to wake. */
export async function readStatus(database: Database, now: Date): Promise<StatusView> {
  const [row] = await database.query<StatusView>(
    `select json_build_object(
         'queued', (select count(*) from runs where status = 'queued' and key is null)
                 + (select count(*) from runs where status = 'queued' and key is not null),
         'running', (select count(*) from runs where status = 'running'),
         'waiting', (select count(*) from runs where status = 'waiting' and wake_at is not null)
                  + (select count(*) from runs where status = 'waiting' and started_at is null and wake_at is null),
         'failed', (select count(*) from runs where status = 'failed')) as counts,
       (select count(*) from approvals where ${OPEN("$1")}) as approvals,
       (select count(*) from issues where status = 'open') as issues,
       coalesce((select value = 'true' from switches where name = 'stop'), false) as stopped,
       json_build_object(
         'sent', exists (select from events where source = 'github'),
         'refused', exists (select from refusals where source = 'github' and reason like 'signature%'),
         'duplicate', exists (select from refusals where reason = 'duplicate'),
         'report', exists (select from events where source = 'schedule' and type like 'competitor-analysis%'),
         'asked', exists (select from messages where direction = 'in')) as steps`,
    [now],
    "read-status",
  );
  return row!;
}

/** What was not let in and why, the latest first, at most 200. */
export async function listRefusals(database: Database): Promise<object[]> {
  return await database.query<object>(
    `select source, reason, count, first_at as "firstAt", last_at as "lastAt"
     from refusals order by last_at desc limit 200`,
  );
}
