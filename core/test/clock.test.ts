import assert from "node:assert/strict";
import { test } from "node:test";
import { runClockHour } from "./clock.ts";
import { testDatabase } from "./database.ts";
import { testSystem } from "./system.ts";

test("an hour in twelve seconds: two clocks, one killed with -9 again and again, fire each nominal time once", async (t) => {
  const { database, url } = await testDatabase(t);
  const system = testSystem(t, { DATABASE_URL: url });
  const hour = await runClockHour(system, database, { count: 1000, seconds: 12, chance: Math.random, worker: false });
  const { late, realLate } = hour;
  console.log(
    `${hour.ticks} ticks of 1000 schedules in ${hour.realSeconds.toFixed(1)} s, ${hour.kills} times kill -9; late by ` +
      `${(late.p50 / 1000).toFixed(1)} s p50 and ${(late.p99 / 1000).toFixed(1)} s p99 of the fast clock, ` +
      `${realLate.p50.toFixed(0)} and ${realLate.p99.toFixed(0)} ms of real time`,
  );
  assert.equal(hour.ticks, hour.expected);
  assert.deepEqual([hour.twice, hour.withoutOneRun], [0, 0]);
  assert.ok(hour.kills >= 1);
});
