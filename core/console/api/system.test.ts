import assert from "node:assert/strict";
import { test } from "node:test";
import type { Database } from "../../store/database.ts";
import { readStatus } from "../../store/views/system.ts";
import { keepEvent, keepRun, keepStep, testConsole } from "../../test/console.ts";

test("status tells the counts, the money, the models and their problems", async (t) => {
  const problem = { code: "model.key-missing", message: "No key.", next: "Set ANTHROPIC_API_KEY." };
  const model = { provider: "anthropic", model: "claude", demo: false, problem };
  const house = await testConsole(t, {
    models: {
      list: () => [
        { role: "light", ...model },
        { role: "heavy", ...model },
      ],
    },
  });
  const event = await keepEvent(house.database, { source: "chat" });
  for (const status of ["queued", "running", "running", "waiting", "failed", "completed", "canceled"]) {
    await keepRun(house.database, event, { status });
  }
  await house.database.query("insert into spend (scope, spent) values ('day:2026-11-22', 0.25), ('day:2026-11-21', 9)");
  const status = await house.json("/api/status");
  assert.deepEqual(status, {
    version: "0.0.0",
    demo: false,
    owner: { name: "Ada", zone: "Europe/Amsterdam" },
    envFile: "home/.env",
    models: [
      { role: "light", ...model },
      { role: "heavy", ...model },
    ],
    counts: { queued: 1, running: 2, waiting: 1, failed: 1 },
    approvals: 0,
    issues: 0,
    today: { usd: 0.25, limitUsd: 5 },
    stopped: false,
    problems: [problem],
    steps: { sent: false, refused: false, duplicate: false, report: false, asked: false },
  });
});

test("the checklist is ticked by what has happened", async (t) => {
  const house = await testConsole(t);
  const steps = async () => {
    const status = await house.json<{ steps: Record<string, boolean> }>("/api/status");
    return Object.keys(status.steps).filter((step) => status.steps[step]);
  };
  await house.database.query("insert into refusals (source, reason, count) values ('github', 'secret missing', 1)");
  assert.deepEqual(await steps(), []);
  await keepEvent(house.database);
  assert.deepEqual(await steps(), ["sent"]);
  await house.database.query("insert into refusals (source, reason, count) values ('github', 'signature wrong', 1)");
  await house.database.query("insert into refusals (source, reason, count) values ('github', 'duplicate', 1)");
  assert.deepEqual(await steps(), ["sent", "refused", "duplicate"]);
  await keepEvent(house.database, { source: "schedule", type: "competitor-analysis/weekly" });
  await house.database.query("insert into conversations (id, channel, external) values ('cnv_1', 'web', 'a')");
  await house.database.query(
    `insert into messages (id, conversation_id, direction, author, text, state) values ('msg_1', 'cnv_1', 'in', 'owner', 'hi', 'delivered')`,
  );
  assert.deepEqual(await steps(), ["sent", "refused", "duplicate", "report", "asked"]);
  const { items } = await house.json<{ items: Record<string, unknown>[] }>("/api/refusals");
  assert.deepEqual(items.map((item) => `${item.source} ${item.reason} ${item.count}`).sort(), [
    "github duplicate 1",
    "github secret missing 1",
    "github signature wrong 1",
  ]);
});

test("costs stand under the owner's days, by model, and the last twenty calls one by one", async (t) => {
  const house = await testConsole(t);
  const run = await keepRun(house.database, await keepEvent(house.database));
  const tokens = {
    promptTokens: 90,
    inputTokens: 100,
    outputTokens: 10,
    cacheReadTokens: 5,
    cacheWriteTokens: 6,
  };
  const call = (key: string, at: string, usd: number, model = "claude") =>
    keepStep(house.database, run, {
      key,
      kind: "model",
      usd,
      at: new Date(at),
      detail: { ...tokens, model, demo: model === "demo" },
    });
  await call("late", "2026-11-20T22:59:00Z", 0.1);
  await call("early", "2026-11-20T23:01:00Z", 0.2);
  await call("demo", "2026-11-22T11:00:00Z", 0, "demo");
  await call("old", "2026-10-01T11:00:00Z", 7);
  await keepStep(house.database, run, { key: "code", usd: 3 });
  await house.database.query("insert into spend (scope, spent) values ('day:2026-11-22', 0), ('month:2026-11', 1.5)");

  const costs = await house.json<{ calls: Record<string, unknown>[] }>("/api/costs?since=3d");
  assert.deepEqual(costs, {
    today: { usd: 0, limitUsd: 5 },
    month: { usd: 1.5, limitUsd: 50 },
    days: [
      { day: "2026-11-19", usd: 0, calls: 0 },
      { day: "2026-11-20", usd: 0.1, calls: 1 },
      { day: "2026-11-21", usd: 0.2, calls: 1 },
      { day: "2026-11-22", usd: 0, calls: 1 },
    ],
    models: [
      {
        model: "claude",
        calls: 2,
        inputTokens: 200,
        outputTokens: 20,
        cacheReadTokens: 10,
        cacheWriteTokens: 12,
        usd: 0.3,
      },
      {
        model: "demo",
        calls: 1,
        inputTokens: 100,
        outputTokens: 10,
        cacheReadTokens: 5,
        cacheWriteTokens: 6,
        usd: 0,
      },
    ],
    calls: [
      ["demo", "2026-11-22T11:00:00.000Z", 0, "demo"],
      ["early", "2026-11-20T23:01:00.000Z", 0.2, "claude"],
      ["late", "2026-11-20T22:59:00.000Z", 0.1, "claude"],
    ].map(([step, at, usd, model]) => ({
      ...{ runId: run, step, at, model, usd, demo: model === "demo" },
      ...{ promptTokens: 90, inputTokens: 100, outputTokens: 10 },
    })),
  });
  const month = await house.json<{ days: unknown[] }>("/api/costs");
  assert.equal(month.days.length, 31);
});

test("STOP is shown as it stands, and asked for by a switch", async (t) => {
  const house = await testConsole(t, {
    actions: {
      stop: (stopped) =>
        house.database.query("insert into switches (name, value) values ('stop', $1)", [JSON.stringify(stopped)]),
    },
  });
  const response = await house.ask("PUT", "/api/stop", { body: { stopped: true } });
  assert.deepEqual(await response.json(), { stopped: true });
  assert.equal((await house.json("/api/status")).stopped, true);
});

test("doctor's checks and the hub are passed on as they are", async (t) => {
  const checks = [{ name: "database", state: "ok", message: "It answers." }] as const;
  const asked: unknown[] = [];
  const house = await testConsole(t, {
    actions: { doctor: async () => checks },
    hub: {
      map: async (options) => ({ text: JSON.stringify(options), tokens: 1 }),
      search: async (query, options) => {
        asked.push(query, options);
        return { hits: [{ path: "a.md", lines: "1-2", text: "a" }], tokens: 3 };
      },
      read: async (path) => ({ path, text: "a", truncated: false }),
    },
  });
  assert.deepEqual(await house.json("/api/doctor"), { checks });
  assert.deepEqual(await house.json("/api/hub/map?under=inbox&budget=500"), {
    text: '{"budget":500,"under":"inbox"}',
    tokens: 1,
  });
  const found = await house.json<{ hits: unknown[] }>("/api/hub/search?q=who%20am%20i");
  assert.equal(found.hits.length, 1);
  assert.deepEqual(asked, ["who am i", {}]);
  assert.deepEqual(await house.json("/api/hub/file?path=a.md"), {
    path: "a.md",
    text: "a",
    truncated: false,
  });
  assert.equal((await house.ask("GET", "/api/hub/search")).status, 400);
});

test("status reads no finished run, of a hundred thousand", async (t) => {
  const { database, clock } = await testConsole(t);
  await database.query(
    `insert into runs (id, event_id, handler, status, finished_at)
     select 'run_' || lpad(n::text, 26, '0'), 'evt_1', 'trigger:a/b', 'completed', now() from generate_series(1, 100000) n`,
  );
  await database.query("analyze runs");
  const rowsRead = async (work: (inside: Database) => Promise<unknown>) => {
    const read = async () => {
      const [row] = await database.query<{ read: number }>(
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) as read from pg_stat_user_tables where relname = 'runs'",
      );
      return row!.read;
    };
    const before = await read();
    await database.transaction(async (inside) => {
      await inside.query("set local max_parallel_workers_per_gather = 0");
      await work(inside);
      await inside.query("select pg_stat_force_next_flush()");
    });
    return (await read()) - before;
  };
  assert.equal(await rowsRead((inside) => inside.query("select count(*) from runs where handler <> ''")), 100_000);
  assert.equal(await rowsRead((inside) => readStatus(inside, clock.now())), 0);
});
