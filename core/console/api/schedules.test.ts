import assert from "node:assert/strict";
import { test } from "node:test";
import type { Installed } from "../../registry/registry.ts";
import { testConsole } from "../../test/console.ts";

const installed: Installed = {
  capability: {
    name: "report",
    description: "Reports",
    schedules: [
      { name: "weekly", description: "Tuesdays", cron: "0 9 * * 2", run: async () => {} },
      { name: "hourly", cron: "0 * * * *", zone: "UTC", run: async () => {} },
    ],
  },
  folder: "/capabilities/report",
  version: "1",
  agentFiles: [],
  skillFolder: null,
  samples: [],
};
const capabilities = () => ({ installed: [installed], refused: [] });
const WEEKLY = "/api/schedules/report%2Fweekly";

test("schedules show their next five times in their zone, and what the clock has kept of them", async (t) => {
  const house = await testConsole(t, { capabilities });
  await house.database.query(
    `insert into schedules (name, cron, zone, next_at, last_at)
     values ('report/weekly', '0 9 * * 2', 'Europe/Amsterdam', '2026-11-24T08:00:00Z', '2026-11-17T08:00:00Z'),
       ('gone/daily', '0 9 * * *', 'UTC', now(), null)`,
  );
  const { items } = await house.json<{ items: Record<string, unknown>[] }>("/api/schedules");
  assert.deepEqual(items, [
    {
      name: "report/weekly",
      description: "Tuesdays",
      cron: "0 9 * * 2",
      zone: "Europe/Amsterdam",
      nextAt: "2026-11-24T08:00:00.000Z",
      next: [24, 31, 38, 45, 52].map((day) => new Date(Date.UTC(2026, 10, day, 8)).toISOString()),
      lastAt: "2026-11-17T08:00:00.000Z",
      paused: false,
    },
    {
      name: "report/hourly",
      description: null,
      cron: "0 * * * *",
      zone: "UTC",
      nextAt: "2026-11-22T13:00:00.000Z",
      next: [13, 14, 15, 16, 17].map((hour) => new Date(Date.UTC(2026, 10, 22, hour)).toISOString()),
      lastAt: null,
      paused: false,
    },
  ]);
});

test("a schedule is fired by its full name, and paused", async (t) => {
  const house = await testConsole(t, {
    capabilities,
    actions: {
      fireSchedule: async (name) => ({ eventId: `evt of ${name}`, runIds: ["run_1"], duplicate: false }),
      pauseSchedule: (name, paused) =>
        house.database.query(
          "insert into schedules (name, cron, zone, paused, next_at) values ($1, '0 9 * * 2', 'UTC', $2, now())",
          [name, paused],
        ),
    },
  });
  const fired = await house.ask("POST", `${WEEKLY}/runs`);
  assert.equal(fired.status, 202);
  assert.deepEqual(await fired.json(), { eventId: "evt of report/weekly", runIds: ["run_1"] });
  assert.equal((await house.ask("POST", "/api/schedules/report%2Fnone/runs")).status, 404);
  assert.equal((await house.ask("PATCH", WEEKLY, { body: { paused: "yes" } })).status, 400);
  const paused = await house.ask("PATCH", WEEKLY, { body: { paused: true } });
  const item = (await paused.json()) as Record<string, unknown>;
  assert.deepEqual([item.name, item.paused, item.nextAt, item.next], ["report/weekly", true, null, []]);
});
