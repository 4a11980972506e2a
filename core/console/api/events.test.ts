import assert from "node:assert/strict";
import { test } from "node:test";
import { SEARCHED } from "../../store/views/events.ts";
import { keepEvent, keepRun, keepStep, testConsole } from "../../test/console.ts";

interface Item {
  id: string;
  runs: { total: number; failed: number; active: number };
}
interface List {
  items: Item[];
  next: string | null;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const ids = (list: List) => list.items.map((item) => item.id);

test("events come newest first, page by page, each once", async (t) => {
  const house = await testConsole(t);
  const kept: string[] = [];
  for (let minutes = 0; minutes < 7; minutes++) kept.unshift(await keepEvent(house.database, { minutes }));
  const seen: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: List = await house.json(`/api/events?limit=3${cursor ? `&cursor=${cursor}` : ""}`);
    seen.push(...ids(page));
    cursor = page.next;
  }
  assert.deepEqual(seen, kept);
});

test("events are filtered by source, type and outcome, and count their runs", async (t) => {
  const house = await testConsole(t);
  const push = await keepEvent(house.database, { minutes: 0 });
  const opened = await keepEvent(house.database, { type: "issues.opened", minutes: 1 });
  const closed = await keepEvent(house.database, { type: "issues.closed", outcome: "ignored", minutes: 2 });
  const tick = await keepEvent(house.database, { source: "schedule", type: "a/b", minutes: 3 });
  for (const status of ["completed", "failed", "failed", "queued", "running", "waiting", "canceled"]) {
    await keepRun(house.database, push, { status });
  }
  const list = async (query: string) => ids(await house.json<List>(`/api/events?${query}`));
  assert.deepEqual(await list("source=schedule"), [tick]);
  assert.deepEqual(await list("type=issues.opened"), [opened]);
  assert.deepEqual(await list("source=github&type=issues.*"), [closed, opened]);
  assert.deepEqual(await list("outcome=ignored"), [closed]);
  const all = await house.json<List>("/api/events");
  assert.deepEqual(all.items.find((item) => item.id === push)?.runs, { total: 7, failed: 2, active: 3 });
  assert.deepEqual(all.items.find((item) => item.id === tick)?.runs, { total: 0, failed: 0, active: 0 });
});

test("text is found in any bytes, whatever stands around it, and in data that no body brought", async (t) => {
  const house = await testConsole(t);
  const plain = await keepEvent(house.database, {
    body: bytes('{"title":"Grüße, World 100%_done"}'),
    minutes: 0,
  });
  const broken = await keepEvent(house.database, {
    body: Buffer.from([0xff, 0x00, ...bytes("WORLD\\n"), 0xc3]),
    minutes: 1,
  });
  const said = await keepEvent(house.database, { source: "chat", data: { text: "hello world" }, minutes: 2 });
  const find = async (q: string) => ids(await house.json<List>(`/api/events?q=${encodeURIComponent(q)}`));
  assert.deepEqual(await find("world"), [said, broken, plain]);
  assert.deepEqual(await find("Grüße"), [plain]);
  assert.deepEqual(await find("100%_D"), [plain]);
  assert.deepEqual(await find("World\\n"), [broken]);
  assert.deepEqual(await find("w_rld"), []);
});

test("a text search looks through a bounded part of what is kept, and goes on from there", async (t) => {
  const house = await testConsole(t);
  await house.database.query(
    `insert into events (id, source, type, key, time, outcome, integrity, privacy, body)
     select 'evt_' || lpad(n::text, 26, '0'), 'github', 'push', n::text, now(), 'ignored', 'untrusted', 'public',
       convert_to(case when n = 3 then 'needle' else 'hay' end, 'UTF8')
     from generate_series(1, $1::integer + 10) n`,
    [SEARCHED],
  );
  const first = await house.json<List>("/api/events?q=needle");
  assert.deepEqual(ids(first), []);
  const second = await house.json<List>(`/api/events?q=needle&cursor=${first.next}`);
  assert.deepEqual(ids(second), [`evt_${"3".padStart(26, "0")}`]);
  assert.equal(second.next, null);
});

test("an event is shown whole: the request to the byte, and its runs with their steps", async (t) => {
  const house = await testConsole(t);
  const body = bytes('{"zen":"Keep it logically awesome. ☯"}\n');
  const id = await keepEvent(house.database, { body });
  const run = await keepRun(house.database, id);
  await keepStep(house.database, run, { key: "note", at: new Date("2026-11-22T12:00:02Z") });
  await keepStep(house.database, run, { key: "first", at: new Date("2026-11-22T12:00:01Z") });
  const event = await house.json<{
    data: unknown;
    label: unknown;
    receivedAt: string;
    request: { method: string; headers: object; body: string; bodyBase64: string };
    runs: { id: string; eventId: string; steps: { key: string }[] }[];
  }>(`/api/events/${id}`);
  assert.deepEqual(event.data, { zen: "Keep it logically awesome. ☯" });
  assert.deepEqual(event.label, { integrity: "untrusted", privacy: "public" });
  assert.equal(event.receivedAt, "2026-11-22T12:00:00.000Z");
  assert.equal(event.request.body, new TextDecoder().decode(body));
  assert.deepEqual(Buffer.from(event.request.bodyBase64, "base64"), Buffer.from(body));
  assert.deepEqual(event.request.headers, { "x-github-event": "push" });
  assert.deepEqual(
    event.runs.map((each) => [each.id, each.steps.map((step) => step.key)]),
    [[run, ["first", "note"]]],
  );
});

test("a body that is not UTF-8 is given as base64 alone, and an event without a request has none", async (t) => {
  const house = await testConsole(t);
  const id = await keepEvent(house.database, { body: Buffer.from([0xc3, 0x28]) });
  const { request } = await house.json<{ request: { body: null; bodyBase64: string } }>(`/api/events/${id}`);
  assert.deepEqual([request.body, request.bodyBase64], [null, "wyg="]);
  const tick = await keepEvent(house.database, { source: "schedule" });
  assert.equal((await house.json(`/api/events/${tick}`)).request, null);
});

test("an event that is not there is 404, and one that is there can be replayed", async (t) => {
  const asked: string[] = [];
  const replay = async (eventId: string) => {
    asked.push(eventId);
    return { eventId, runIds: ["run_2"], duplicate: false };
  };
  const house = await testConsole(t, { actions: { replay } });
  const id = await keepEvent(house.database);
  const none = `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`;
  for (const wrong of [none, "evt_1", "%00", "a%20b"]) {
    assert.equal((await house.ask("GET", `/api/events/${wrong}`)).status, 404, wrong);
    assert.equal((await house.ask("POST", `/api/events/${wrong}/replays`)).status, 404, wrong);
  }
  assert.deepEqual(asked, []);
  const response = await house.ask("POST", `/api/events/${id}/replays`);
  assert.equal(response.status, 202);
  assert.deepEqual(await response.json(), { eventId: id, runIds: ["run_2"] });
});
