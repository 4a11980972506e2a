import type { Step } from "../define/run.ts";
import type { Database } from "./database.ts";
import { toJson } from "./events.ts";

/** A step to be kept, with the fence of the run it belongs to. */
export interface StepSeed extends Step {
  readonly claim: number;
}

// The share lock makes a takeover of the run and this write take turns: whoever comes second sees the other.
const KEEP = `
  with incoming as (
    select * from json_to_recordset($1) as i(run_id text, claim integer, key text, kind text, status text, value jsonb, error jsonb,
      attempt integer, integrity text, privacy text, detail jsonb, usd double precision, started_at timestamptz, finished_at timestamptz)
  ), ours as (
    select r.id, r.claim from runs r
    where r.id in (select run_id from incoming) and r.status = 'running' for share
  )
  insert into steps (run_id, key, kind, status, value, error, attempt, integrity, privacy, detail, usd, started_at, finished_at)
  select i.run_id, i.key, i.kind, i.status, i.value, i.error, i.attempt, i.integrity, i.privacy, i.detail, i.usd, i.started_at, i.finished_at
  from incoming i join ours on ours.id = i.run_id and ours.claim = i.claim
  on conflict (run_id, key) do update set status = excluded.status, value = excluded.value, error = excluded.error,
    attempt = excluded.attempt, integrity = excluded.integrity, privacy = excluded.privacy, detail = excluded.detail,
    usd = steps.usd + excluded.usd, finished_at = excluded.finished_at
  where steps.status <> 'completed'
  returning run_id, key`;

/**
 * Keeps steps, all in one statement. Returns for each whether it was kept: `false` means that the run is no
 * longer ours (taken over, or canceled by hand), and nothing was written.
 */
export async function keepSteps(database: Database, steps: readonly StepSeed[]): Promise<boolean[]> {
  const rows = steps.map((step) => ({
    run_id: step.runId,
    claim: step.claim,
    key: step.key,
    kind: step.kind,
    status: step.status,
    value: step.value ?? null,
    error: step.error,
    attempt: step.attempt,
    integrity: step.label.integrity,
    privacy: step.label.privacy,
    detail: step.detail ?? null,
    usd: step.usd,
    started_at: step.startedAt,
    finished_at: step.finishedAt,
  }));
  const kept = await database.query<{ run_id: string; key: string }>(KEEP, [toJson(rows)], "keep-steps");
  const keys = new Set(kept.map((row) => `${row.run_id} ${row.key}`));
  return steps.map((step) => keys.has(`${step.runId} ${step.key}`));
}

/** The kept steps of some runs, each run's in the order in which they ended. */
export async function stepsOf(database: Database, runIds: readonly string[]): Promise<Step[]> {
  return await database.query<Step>(
    `select run_id as "runId", key, kind, status, value, error, attempt, detail, usd,
       json_build_object('integrity', integrity, 'privacy', privacy) as label,
       started_at as "startedAt", finished_at as "finishedAt"
     from steps where run_id = any($1) order by run_id, finished_at nulls last, started_at, key`,
    [runIds],
    "steps-of",
  );
}
