import assert from "node:assert/strict";
import { test } from "node:test";
import type { Repair } from "../../runs/repair.ts";
import { SEARCHED } from "../../store/repairs.ts";
import { keepEvent, keepRun, testConsole } from "../../test/console.ts";

interface Preview {
  count: number;
  items: { id: string }[];
  next: string | null;
  filter: Record<string, string>;
}

async function testRepairs(t: Parameters<typeof testConsole>[0]) {
  const asked: Repair[] = [];
  const repair = async (order: Repair) => {
    asked.push(order);
    return { eventId: "evt_1", runId: "run_1" };
  };
  const house = await testConsole(t, { actions: { repair } });
  const post = async (path: string, body: unknown) => {
    const response = await house.ask("POST", path, { body });
    return { status: response.status, answer: (await response.json()) as Preview & { error: { message: string } } };
  };
  return { house, asked, post };
}

test("a preview counts what a filter means and shows the newest of it; the order is then for the same set", async (t) => {
  const { house, asked, post } = await testRepairs(t);
  const ids: string[] = [];
  for (let minutes = 0; minutes < 7; minutes++) ids.unshift(await keepEvent(house.database, { minutes: minutes - 10 }));
  for (const id of ids) await keepRun(house.database, id, { status: "failed", error: { code: "a.b", message: "No." } });
  const { answer } = await post("/api/replays", { filter: { outcome: "dead" }, preview: true });
  assert.deepEqual([answer.count, answer.items.map((item) => item.id), answer.next], [7, ids.slice(0, 5), null]);
  assert.deepEqual(answer.filter, { outcome: "dead", until: "2026-11-22T12:00:00.001Z" });
  assert.deepEqual(asked, []);
  const ordered = await post("/api/replays", { filter: answer.filter });
  assert.deepEqual([ordered.status, ordered.answer], [202, { eventId: "evt_1", runId: "run_1" }]);
  assert.deepEqual(asked, [{ kind: "replay", filter: answer.filter }]);
});

test("a preview of runs leaves out those that a later run stands for", async (t) => {
  const { house, asked, post } = await testRepairs(t);
  const event = await keepEvent(house.database, { minutes: -5 });
  await keepRun(house.database, event, { status: "failed" });
  await keepRun(house.database, event, { status: "failed" });
  await keepRun(house.database, event, { status: "canceled", handler: "agent:default" });
  const until = "2100-01-01T00:00:00.000Z";
  const { answer } = await post("/api/retries", { filter: { until, status: "failed" }, preview: true });
  assert.equal(answer.count, 1);
  assert.equal((await post("/api/retries", { filter: { until, status: "canceled" }, preview: true })).answer.count, 1);
  await post("/api/retries", { filter: { handler: "a" } });
  assert.deepEqual(
    asked.map(({ filter }) => "status" in filter && filter.status),
    ["failed"],
  );
});

test("an empty filter, a status that cannot be retried and an unknown field are refused", async (t) => {
  const { asked, post } = await testRepairs(t);
  for (const body of [{}, { filter: {} }, { filter: {}, preview: true }]) {
    assert.equal((await post("/api/replays", body)).status, 400);
  }
  assert.match((await post("/api/replays", { filter: {} })).answer.error.message, /everything/);
  assert.equal((await post("/api/retries", { filter: { status: "completed" } })).status, 400);
  assert.match((await post("/api/replays", { filter: { sourse: "a" } })).answer.error.message, /sourse/);
  assert.deepEqual(asked, []);
});

test("a preview by text looks through a part and goes on from there", async (t) => {
  const { house, post } = await testRepairs(t);
  await house.database.query(
    `insert into events (id, source, type, key, time, outcome, integrity, privacy, body)
     select 'evt_' || lpad(n::text, 26, '0'), 'github', 'push', n::text, now(), 'ignored', 'untrusted', 'public',
       convert_to(case when n % 1000 = 0 then 'needle' else 'hay' end, 'UTF8')
     from generate_series(1, $1::integer + 10) n`,
    [SEARCHED],
  );
  let count = 0;
  let cursor: string | null = "";
  while (cursor !== null) {
    const { answer } = await post("/api/replays", {
      filter: { q: "needle" },
      preview: true,
      ...(cursor ? { cursor } : {}),
    });
    count += answer.count;
    cursor = answer.next;
  }
  assert.equal(count, SEARCHED / 1000);
});
