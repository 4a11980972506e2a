import { connect } from "../core/store/database.ts";
import { runClockHour } from "../core/test/clock.ts";
import { testSystem } from "../core/test/system.ts";
import { count, short } from "./figures.ts";
import { type BenchServer, urlOf } from "./postgres.ts";
import type { Table } from "./report.ts";

/**
 * An hour of a fast clock: many schedules, two clocks and a worker in processes of their own, one of the clocks killed
 * with -9 at random, again and again. Throws when a nominal time fired twice, or not at all.
 */
export async function measureClock(
  server: BenchServer,
  options: { schedules: number; seconds: number },
): Promise<{ tables: Table[]; data: unknown }> {
  const connection = await server.fresh("clock");
  const database = connect({ ...connection, connections: 2 });
  const ends: (() => unknown)[] = [];
  const system = testSystem({ after: (end: () => unknown) => void ends.push(end) } as never, {
    DATABASE_URL: urlOf(connection),
  });
  const setting = { count: options.schedules, seconds: options.seconds, chance: Math.random, worker: true };
  try {
    const hour = await runClockHour(system, database, setting);
    const [{ done } = { done: 0 }] = await database.query<{ done: number }>(
      "select count(*) as done from runs where status = 'completed'",
    );
    if (hour.ticks !== hour.expected || hour.twice > 0 || hour.withoutOneRun > 0) {
      throw new Error(`Not each nominal time once: ${JSON.stringify(hour)}`);
    }
    return { data: { ...hour, done }, tables: [toTable(hour, done, options)] };
  } finally {
    for (const end of ends) await end();
    await database.close();
    await server.drop("clock");
  }
}

function toTable(
  { ticks, twice, kills, realSeconds, late, realLate }: Awaited<ReturnType<typeof runClockHour>>,
  done: number,
  { schedules }: { schedules: number },
): Table {
  const seconds = (milliseconds: number) => `${short(milliseconds / 1000)} s`;
  return {
    title: `An hour of ${count(schedules)} schedules in ${Math.round(realSeconds)} s, two clocks, one killed ${kills} times with -9`,
    columns: ["", "late p50", "late p99", "latest"],
    rows: [
      ["by the fast clock", seconds(late.p50), seconds(late.p99), seconds(late.most)],
      ["in real time", `${short(realLate.p50)} ms`, `${short(realLate.p99)} ms`, `${short(realLate.most)} ms`],
    ],
    notes: [
      `${count(ticks)} ticks, ${twice} of them twice, each with one run; ${count(done)} runs were carried by the end, beside the clocks.`,
      "A thousand schedules are due together at the full hour. A clock looks once a second of its own time.",
    ],
  };
}
