import type { Database } from "./database.ts";

/** When a schedule fires next. */
export interface ScheduleRow {
  readonly name: string;
  readonly cron: string;
  readonly zone: string;
  readonly nextAt: Date | null;
  readonly lastAt: Date | null;
  readonly paused: boolean;
}

const COLUMNS = `name, cron, zone, next_at as "nextAt", last_at as "lastAt", paused`;

export async function listSchedules(database: Database): Promise<ScheduleRow[]> {
  return await database.query<ScheduleRow>(`select ${COLUMNS} from schedules order by name`);
}

/** Adds or corrects a schedule. One whose cron or zone is as it was keeps its next time, and so its missed ticks. */
export async function putSchedule(
  database: Database,
  schedule: { name: string; cron: string; zone: string; nextAt: Date | null },
): Promise<void> {
  await database.query(
    `insert into schedules (name, cron, zone, next_at) values ($1, $2, $3, $4)
     on conflict (name) do update set cron = $2, zone = $3, next_at = $4
     where (schedules.cron, schedules.zone) <> ($2, $3)`,
    [schedule.name, schedule.cron, schedule.zone, schedule.nextAt],
  );
}

/** Forgets the schedules of capabilities that are gone. */
export async function deleteSchedulesExcept(database: Database, names: readonly string[]): Promise<void> {
  await database.query("delete from schedules where name <> all($1)", [names]);
}

/** Due schedules, held until the transaction ends: two clocks never hold the same one. */
export async function holdDueSchedules(inside: Database, now: Date, most: number): Promise<ScheduleRow[]> {
  return await inside.query<ScheduleRow>(
    `select ${COLUMNS} from schedules where not paused and next_at <= $1 order by next_at limit $2 for update skip locked`,
    [now, most],
  );
}

export async function advanceSchedule(
  inside: Database,
  name: string,
  lastAt: Date,
  nextAt: Date | null,
): Promise<void> {
  await inside.query("update schedules set last_at = $2, next_at = $3 where name = $1", [name, lastAt, nextAt]);
}

/** Pauses or resumes; a resumed one goes on at `nextAt`. False: there is none of that name. */
export async function pauseSchedule(
  database: Database,
  name: string,
  change: { paused: boolean; nextAt: Date | null },
): Promise<boolean> {
  const rows = await database.query("update schedules set paused = $2, next_at = $3 where name = $1 returning name", [
    name,
    change.paused,
    change.nextAt,
  ]);
  return rows.length > 0;
}
