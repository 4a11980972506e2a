import assert from "node:assert/strict";
import { test } from "node:test";
import { SEARCHED } from "../../store/repairs.ts";
import { keepEvent, keepRun, keepStep, testConsole } from "../../test/console.ts";

interface Item {
  id: string;
  runs: { total: number; failed: number; active: number };
}
interface List {
  items: Item[];
  next: string | null;
  searched?: number;
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
  const statuses = ["completed", "failed", "failed", "queued", "running", "waiting", "canceled"];
  for (const [place, status] of statuses.entries())
    await keepRun(house.database, push, { status, handler: `a:${place}` });
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
  assert.deepEqual([ids(first), first.searched], [[], SEARCHED]);
  const second = await house.json<List>(`/api/events?q=needle&cursor=${first.next}`);
  assert.deepEqual(ids(second), [`evt_${"3".padStart(26, "0")}`]);
  assert.deepEqual([second.next, second.searched], [null, 10]);
});

test("a search names paths of the data, whatever brought it: a body, an item of many, a form", async (t) => {
  const house = await testConsole(t);
  const jane = { customer: { email: "Jane@example.com", age: 41 }, items: [{ sku: "a-1" }, { sku: "b-2" }] };
  const body = await keepEvent(house.database, { body: bytes(JSON.stringify(jane)), minutes: 0 });
  const item = await keepEvent(house.database, { data: { customer: { email: "joe@example.com" } }, minutes: 1 });
  await house.database.query("update events set request_id = 'req_1' where id = $1", [item]);
  const form = await keepEvent(house.database, {
    body: bytes("From=%2B31612345678&Body=Gr%C3%BC%C3%9Fe"),
    data: { From: "+31612345678", Body: "Grüße" },
    minutes: 2,
  });
  const escaped = await keepEvent(house.database, {
    body: bytes('{"name":"Ren\\u00e9e","ref":"customer.email:x"}'),
    minutes: 3,
  });
  const nothing = await keepEvent(house.database, { body: Buffer.from([0xff, 0x00]), minutes: 4 });
  const find = async (q: string) => ids(await house.json<List>(`/api/events?q=${encodeURIComponent(q)}`));
  assert.deepEqual(await find("customer.email:jane@example.com"), [body]);
  assert.deepEqual(await find("data.customer.email=jane@example.com"), [body]);
  assert.deepEqual(await find("customer.email:*@example.com"), [item, body]);
  assert.deepEqual(await find("customer.email:j_ne@example.com"), [], "no letter is a pattern but *");
  assert.deepEqual(await find("customer.age:41 items.sku:b-2"), [body], "all of it, and lists are looked through");
  assert.deepEqual(await find("items.1.sku:b-2 a-1"), [body]);
  assert.deepEqual(await find("joe@example.com"), [item], "an item's own data");
  assert.deepEqual(await find("+31612345678"), [form], "a form is read as data");
  assert.deepEqual(await find('Body:"Grüße"'), [form]);
  assert.deepEqual(await find("Renée"), [escaped], "letters that the sender escaped");
  assert.deepEqual(await find("customer.email:x"), [escaped], "what looks like a path may be text");
  assert.equal((await find("")).includes(nothing), true);
});

test("events are found by when they came, by what ran on them, and by how it failed", async (t) => {
  const house = await testConsole(t);
  const [old, failed, fine] = [
    await keepEvent(house.database, { minutes: -3000 }),
    await keepEvent(house.database, { minutes: -30 }),
    await keepEvent(house.database, { minutes: -1 }),
  ];
  const error = { code: "order.bad", message: "No tax." };
  await keepRun(house.database, failed, { status: "failed", handler: "trigger:shop/file", error });
  await keepRun(house.database, fine, { handler: "trigger:shop/note" });
  const unread = await keepEvent(house.database, { outcome: "ignored", minutes: 0 });
  await house.database.query("update events set problem = 'It is not JSON.' where id = $1", [unread]);
  const list = async (query: string) => ids(await house.json<List>(`/api/events?${query}`));
  assert.deepEqual(await list("since=1h"), [unread, fine, failed]);
  assert.deepEqual(await list("until=1h"), [old]);
  assert.deepEqual(await list("since=2026-11-22T11:00:00Z&until=2026-11-22T11:45:00Z"), [failed]);
  assert.deepEqual(await list("handler=trigger:shop/note"), [fine]);
  assert.deepEqual(await list("handler=trigger:shop/file&error=order.bad"), [failed]);
  assert.deepEqual(await list("handler=trigger:shop/note&error=order.bad"), []);
  assert.deepEqual(await list("outcome=dead"), [unread, failed]);
  assert.deepEqual(await list("outcome=dead&handler=trigger:shop/file"), [failed]);
  assert.deepEqual(await list("outcome=ignored"), []);
  const all = await house.json<{ items: { outcome: string; reason: string | null }[] }>("/api/events?outcome=dead");
  assert.deepEqual(
    all.items.map((event) => [event.outcome, event.reason]),
    [
      ["dead", "It is not JSON."],
      ["dead", "trigger:shop/file failed: No tax."],
    ],
  );
  assert.equal((await house.json(`/api/events/${failed}`)).outcome, "dead");
  assert.equal((await house.ask("GET", "/api/events?since=yesterday")).status, 400);
  assert.equal((await house.ask("GET", "/api/events?since=2026-99-99")).status, 400);
  assert.equal((await house.ask("GET", "/api/events?since=2026-02-30T09:00Z")).status, 400);
  assert.equal((await house.ask("GET", "/api/events?since=2026-02-28T09:00Z")).status, 200);
  assert.equal((await house.ask("GET", `/api/events?cursor=run_${"0".repeat(26)}`)).status, 400);
  const data = JSON.parse(`${"[".repeat(1100)}${"]".repeat(1100)}`) as unknown;
  assert.equal((await house.ask("POST", `/api/events/${fine}/replays`, { body: { data } })).status, 400);
  const misspelled = await house.ask("GET", "/api/events?sorce=shop");
  assert.equal(misspelled.status, 400);
  assert.match(await misspelled.text(), /The query: Unrecognized key: \\"sorce\\"/);
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
  const asked: unknown[] = [];
  const replay = async (eventId: string, edited?: { data: unknown }) => {
    asked.push(edited ?? eventId);
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
  for (const data of [{ n: 1 }, null, [0]]) await house.ask("POST", `/api/events/${id}/replays`, { body: { data } });
  assert.deepEqual(asked, [id, { data: { n: 1 } }, { data: null }, { data: [0] }]);
});
