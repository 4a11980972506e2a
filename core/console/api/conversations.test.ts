import assert from "node:assert/strict";
import { test } from "node:test";
import { DaimonError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import type { Database } from "../../store/database.ts";
import { keepEvent, keepRun, testConsole, testHttp } from "../../test/console.ts";
import { until } from "../../test/system.ts";
import { createLoginLink } from "../auth.ts";
import type { Actions } from "../options.ts";

const RUN = newId("run");
const EVENT = newId("evt");
const CONVERSATION = newId("cnv");

const openRun = (database: Database) =>
  database.query("insert into runs (id, event_id, handler, status) values ($1, $2, 'agent:default', 'running')", [
    RUN,
    EVENT,
  ]);

const closeRun = (database: Database, status: string, values: { result?: unknown; error?: unknown } = {}) =>
  database.query("update runs set status = $2, result = $3, error = $4, usd = 0.02 where id = $1", [
    RUN,
    status,
    JSON.stringify(values.result ?? null),
    values.error ? JSON.stringify(values.error) : null,
  ]);

/** A chat whose run the test carries. */
async function testChat(t: Parameters<typeof testHttp>[0], during: (house: { database: Database }) => void = () => {}) {
  const asked: Parameters<Actions["chat"]>[0][] = [];
  const house = await testHttp(t, {
    actions: {
      async chat(question) {
        asked.push(question);
        await openRun(house.database);
        during(house);
        return { runId: RUN, eventId: EVENT, conversation: CONVERSATION };
      },
    },
  });
  return { ...house, asked };
}

test("an answer comes as it is written, from the very first piece, and ends with what it cost", async (t) => {
  const house = await testChat(t, () => house.live.publish({ kind: "delta", id: RUN, text: "Hel" }));
  const answer = await house.stream("/api/chat", { text: "hi", agent: "default" });
  assert.equal((await answer.next())?.event, ": open");
  assert.deepEqual(await answer.next(), {
    event: "run",
    data: { runId: RUN, eventId: EVENT, conversation: CONVERSATION },
  });
  assert.deepEqual(await answer.next(), { event: "delta", data: { text: "Hel" } });
  house.live.publish({ kind: "delta", id: "run_other", text: "not mine" });
  house.live.publish({ kind: "tool", id: RUN, name: "hub_search", status: "started" });
  assert.deepEqual(await answer.next(), { event: "tool", data: { name: "hub_search", state: "started" } });
  await closeRun(house.database, "completed", { result: { text: "Hello.", demo: true, end: "answered" } });
  house.live.publish({ kind: "run", id: RUN, status: "completed" });
  assert.deepEqual(await answer.next(), {
    event: "done",
    data: { text: "Hello.", runId: RUN, usd: 0.02, demo: true, end: "answered" },
  });
  assert.equal(await answer.next(), null);
  assert.deepEqual(house.asked, [{ text: "hi", agent: "default", channel: "cli" }]);
});

test("a run that another process carries is looked at twice a second, its approvals and its message included", async (t) => {
  const house = await testChat(t);
  const answer = await house.stream("/api/chat", { text: "delete it", conversation: CONVERSATION });
  await answer.next();
  await answer.next();
  await house.database.query(
    `insert into approvals (id, run_id, step, title, action, digest, expires_at)
     values ('apr_1', $1, 'tool', 'Delete a.md', '{}', 'd', now() + interval '1 day')`,
    [RUN],
  );
  await until("its next beat and its next look wait", () => house.clock.waiting.size === 2);
  house.clock.advance(500);
  assert.deepEqual(await answer.next(), { event: "approval", data: { id: "apr_1", title: "Delete a.md" } });
  await until("its next beat and its next look wait", () => house.clock.waiting.size === 2);
  await house.database.query("insert into conversations (id, channel, external) values ($1, 'web', 'a')", [
    CONVERSATION,
  ]);
  await house.database.query(
    `insert into messages (id, conversation_id, direction, author, text, state, run_id)
     values ('msg_1', $1, 'out', 'default', 'Deleted.', 'delivered', $2)`,
    [CONVERSATION, RUN],
  );
  await closeRun(house.database, "completed");
  house.clock.advance(500);
  assert.equal((await answer.next())?.data.text, "Deleted.");
  assert.equal(await answer.next(), null);
  assert.equal(house.clock.waiting.size, 0);
});

test("what an answer waits for is told once", async (t) => {
  const house = await testChat(t);
  const answer = await house.stream("/api/chat", { text: "hi" });
  await answer.next();
  await answer.next();
  const waiting = { kind: "retry", attempt: 1, error: { code: "model.overloaded", message: "Too many ask." } };
  const wakeAt = "2026-11-22T12:00:30.000Z";
  await house.database.query("update runs set status = 'waiting', waiting = $2, wake_at = $3 where id = $1", [
    RUN,
    JSON.stringify(waiting),
    wakeAt,
  ]);
  house.live.publish({ kind: "run", id: RUN, status: "waiting" });
  assert.deepEqual(await answer.next(), { event: "waiting", data: { waiting, wakeAt } });
  house.live.publish({ kind: "run", id: RUN, status: "waiting" });
  await until("its next look waits", () => house.clock.waiting.size === 2);
  await closeRun(house.database, "completed");
  house.live.publish({ kind: "run", id: RUN, status: "completed" });
  assert.equal((await answer.next())?.event, "done");
});

test("a run that failed or was canceled ends the answer with why", async (t) => {
  const error = { code: "model.overloaded", message: "Too many ask.", next: "Ask again." };
  for (const [status, told] of [
    ["failed", error],
    ["canceled", { code: "run.canceled", message: "The run was canceled." }],
  ] as const) {
    const house = await testChat(t);
    const answer = await house.stream("/api/chat", { text: "hi" });
    await closeRun(house.database, status, status === "failed" ? { error } : {});
    house.live.publish({ kind: "run", id: RUN, status });
    await answer.next();
    await answer.next();
    assert.deepEqual(await answer.next(), { event: "error", data: told });
    assert.equal(await answer.next(), null);
  }
});

test("who stops listening leaves no timer behind, and the run goes on", async (t) => {
  const house = await testChat(t);
  const answer = await house.stream("/api/chat", { text: "hi" });
  await answer.next();
  await until("its next beat and its next look wait", () => house.clock.waiting.size === 2);
  answer.close();
  await until("no timer is left", () => house.clock.waiting.size === 0);
  const [run] = await house.database.query<{ status: string; cancel: boolean }>("select status, cancel from runs");
  assert.deepEqual(run, { status: "running", cancel: false });
});

test("a browser asks under the channel web; a question that cannot be put is a plain error", async (t) => {
  const house = await testHttp(t, {
    actions: {
      chat: async ({ channel }) => {
        throw new DaimonError("agent.missing", `There is no such agent on ${channel}.`);
      },
    },
  });
  const link = await createLoginLink(house.database, house.url, house.clock.now());
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(house.url + path, {
      method: "POST",
      headers: { origin: house.url, ...headers },
      body: JSON.stringify(body),
    });
  const session = await post("/api/session", { code: link.split("#c=")[1] });
  const cookie = session.headers.get("set-cookie")!.split(";")[0]!;
  const response = await post("/api/chat", { text: "hi", agent: "none" }, { cookie });
  assert.equal(response.status, 404);
  assert.match(await response.text(), /no such agent on web/);
  assert.equal((await post("/api/chat", { text: "hi", conversation: "a" }, { cookie })).status, 400);
});

test("conversations come with the one last spoken in first, messages newest first", async (t) => {
  const house = await testConsole(t);
  const run = await keepRun(house.database, await keepEvent(house.database));
  const made: string[] = [];
  for (const hour of [9, 11, 10]) {
    const id = newId("cnv");
    made.push(id);
    await house.database.query(
      "insert into conversations (id, channel, external, title, updated_at) values ($1, 'web', $1, $2, $3)",
      [id, `at ${hour}`, `2026-11-22T${String(hour).padStart(2, "0")}:00:00.123456Z`],
    );
  }
  const titles: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: { items: { title: string }[]; next: string | null } = await house.json(
      `/api/conversations?limit=1${cursor ? `&cursor=${cursor}` : ""}`,
    );
    titles.push(...page.items.map((item) => item.title));
    cursor = page.next;
  }
  assert.deepEqual(titles, ["at 11", "at 10", "at 9"]);

  for (const text of ["one", "two", "three"]) {
    await house.database.query(
      `insert into messages (id, conversation_id, direction, author, text, state, run_id, detail)
       values ($1, $2, 'out', 'default', $3, 'delivered', $4, '{"demo":true}')`,
      [newId("msg"), made[0], text, run],
    );
  }
  const page = await house.json<{ items: Record<string, unknown>[]; next: string }>(
    `/api/conversations/${made[0]}/messages?limit=2`,
  );
  assert.deepEqual(
    page.items.map((item) => item.text),
    ["three", "two"],
  );
  assert.deepEqual(page.items[0]!.detail, { demo: true });
  assert.equal(page.items[0]!.runId, run);
  const rest = await house.json<{ items: { text: string }[] }>(
    `/api/conversations/${made[0]}/messages?cursor=${page.next}`,
  );
  assert.deepEqual(
    rest.items.map((item) => item.text),
    ["one"],
  );
  assert.equal((await house.ask("GET", `/api/conversations/${newId("cnv")}/messages`)).status, 404);
});
