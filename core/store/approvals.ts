import { newId } from "../base/ids.ts";
import type { Database } from "./database.ts";
import { toJson, toText } from "./encode.ts";

export type ApprovalStatus = "waiting" | "approved" | "denied" | "expired";

/** A person's answer to one exact action. */
export interface Approval {
  readonly id: string;
  readonly runId: string;
  readonly step: string;
  readonly title: string;
  readonly action: unknown;
  readonly digest: string;
  readonly status: ApprovalStatus;
  readonly expiresAt: Date;
  readonly answeredAt: Date | null;
  readonly createdAt: Date;
}

/** True, in SQL, of an approval that may still be answered: there is time, and its run has not ended. */
export const OPEN = (now: string) => `status = 'waiting' and expires_at > ${now}
  and exists (select from runs where id = run_id and status in ('queued', 'running', 'waiting'))`;

const COLUMNS = `id, run_id as "runId", step, title, action, digest, status, expires_at as "expiresAt", answered_at as "answeredAt", created_at as "createdAt"`;

/** Asks once for each step of a run; asked again, the first question stands. When it is `over`, it waits no more. */
export async function askApproval(
  database: Database,
  approval: Pick<Approval, "runId" | "step" | "title" | "action" | "digest" | "expiresAt"> & { over: boolean },
): Promise<Approval> {
  const [row] = await database.query<Approval>(
    `insert into approvals (id, run_id, step, title, action, digest, expires_at, status)
     values ($1, $2, $3, $4, $5, $6, $7, case when $8 then 'expired' else 'waiting' end)
     on conflict (run_id, step) do update set
       status = case when approvals.status = 'waiting' then excluded.status else approvals.status end
     returning ${COLUMNS}`,
    [
      newId("apr"),
      approval.runId,
      approval.step,
      toText(approval.title),
      toJson(approval.action),
      approval.digest,
      approval.expiresAt,
      approval.over,
    ],
  );
  return row!;
}

/**
 * Answers an approval that is waiting and wakes its run, in one transaction. Null: there is none of that id;
 * `done` false: it was answered before, or is over.
 */
export async function answerApproval(
  database: Database,
  id: string,
  answer: { status: "approved" | "denied"; by: string },
): Promise<{ done: boolean; approval: Approval } | null> {
  return await database.transaction(async (inside) => {
    const [answered] = await inside.query<Approval>(
      `update approvals set status = $2, answered_at = now(), answered_by = $3
       where id = $1 and ${OPEN("now()")} returning ${COLUMNS}`,
      [id, answer.status, answer.by],
    );
    if (answered) {
      await inside.query("update runs set status = 'queued', wake_at = null where id = $1 and status = 'waiting'", [
        answered.runId,
      ]);
      return { done: true, approval: answered };
    }
    const [approval] = await inside.query<Approval>(`select ${COLUMNS} from approvals where id = $1`, [id]);
    return approval ? { done: false, approval } : null;
  });
}
