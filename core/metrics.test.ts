import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./base/clock.ts";
import { createMetrics } from "./metrics.ts";
import { testDatabase } from "./test/database.ts";

test("the figures of the process go on from one asking to the next, and no gauge has the name of a counter", async (t) => {
  const { database } = await testDatabase(t);
  const metrics = createMetrics({ database, zone: "UTC", clock: systemClock });
  const ask = async () => {
    const text = await metrics();
    return { text, processor: Number(/^process_cpu_seconds_total (.*)$/m.exec(text)![1]) };
  };
  const first = await ask();
  for (const end = process.cpuUsage().user + 100_000; process.cpuUsage().user < end; );
  const second = await ask();
  assert.ok(second.processor - first.processor >= 0.1, "a tenth of a second was worked, and is counted");
  assert.ok((await ask()).processor >= second.processor);
  assert.doesNotMatch(second.text, /^# TYPE \S+_total gauge$/m);
  assert.match(second.text, /^# HELP daimon_runs /m);
  const names = [...second.text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.equal(new Set(names).size, names.length, "each once");
});

test("what was spent today is of the owner's day, and nothing on a day without a call", async (t) => {
  const { database } = await testDatabase(t);
  await database.query("insert into spend (scope, spent, reserved) values ('day:2026-11-22', 3, 0)");
  const spent = async (now: string) => {
    const clock = { now: () => new Date(now) };
    const text = await createMetrics({ database, zone: "Europe/Amsterdam", clock })();
    return Number(/^daimon_spent_usd_today (.*)$/m.exec(text)![1]);
  };
  assert.equal(await spent("2026-11-22T22:59:00Z"), 3);
  assert.equal(await spent("2026-11-22T23:01:00Z"), 0);
});
