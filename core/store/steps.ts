import type { Step } from "../define/run.ts";
import type { Database } from "./database.ts";
import { columns, toJsonOrNull } from "./encode.ts";

/** A step to be kept, with the fence of the run it belongs to. */
export interface StepSeed extends Step {
  readonly claim: number;
}

const KEEP = `select run_id, key from keep_steps($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`;

/**
 * Keeps steps, all in one statement. Returns for each whether it was kept: `false` means that the run is no
 * longer ours (taken over, or canceled by hand), and nothing was written.
 */
export async function keepSteps(database: Database, steps: readonly StepSeed[]): Promise<boolean[]> {
  const rows = steps.map((step) => [
    ...[step.runId, step.claim, step.key, step.kind, step.status, toJsonOrNull(step.value), toJsonOrNull(step.error)],
    ...[step.attempt, step.label.integrity, step.label.privacy, toJsonOrNull(step.detail), step.usd],
    ...[step.startedAt, step.finishedAt],
  ]);
  const kept = await database.query<{ run_id: string; key: string }>(KEEP, columns(rows, 14), "keep-steps");
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
