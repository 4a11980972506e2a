import assert from "node:assert/strict";
import { test } from "node:test";
import { keepEvent, keepRun, keepStep, testConsole } from "../../test/console.ts";

interface List {
  items: { id: string }[];
  next: string | null;
}

test("runs come newest first and are filtered by status, handler and event", async (t) => {
  const house = await testConsole(t);
  const event = await keepEvent(house.database, { minutes: 0 });
  const other = await keepEvent(house.database, { minutes: 1 });
  const one = await keepRun(house.database, event, { status: "failed" });
  await new Promise((resolve) => setTimeout(resolve, 2));
  const two = await keepRun(house.database, other, { handler: "agent:default" });
  const list = async (query: string) => (await house.json<List>(`/api/runs?${query}`)).items.map((run) => run.id);
  assert.deepEqual(await list(""), [two, one]);
  assert.deepEqual(await list("status=failed"), [one]);
  assert.deepEqual(await list("handler=agent:default"), [two]);
  assert.deepEqual(await list(`event=${event}`), [one]);
  const page = await house.json<List>("/api/runs?limit=1");
  assert.equal(page.next, two);
  assert.deepEqual(await list(`limit=1&cursor=${page.next}`), [one]);
});

test("runs are found by the code and the words of their error, and by when they were made", async (t) => {
  const house = await testConsole(t);
  const event = await keepEvent(house.database);
  const keep = (status: string, code: string, message: string) =>
    keepRun(house.database, event, { status, error: { code, message } });
  const failed = await keep("failed", "order.bad", "No tax was found for Utrecht.");
  const tried = await keep("waiting", "far.away", "The far side is away.");
  await keepRun(house.database, event);
  const list = async (query: string) => (await house.json<List>(`/api/runs?${query}`)).items.map((run) => run.id);
  assert.deepEqual(await list("error=order.bad"), [failed]);
  assert.deepEqual(await list("q=utrecht"), [failed]);
  assert.deepEqual(await list("q=AWAY"), [tried]);
  assert.deepEqual(await list("status=failed&q=away"), []);
  assert.equal((await list("since=2020-01-01T00:00Z&until=2021-01-01T00:00Z")).length, 0);
});

test("a run is shown with its steps, event, approvals and messages, under the names of the reference", async (t) => {
  const house = await testConsole(t);
  const event = await keepEvent(house.database);
  const id = await keepRun(house.database, event, { result: { text: "done" } });
  await keepStep(house.database, id, {
    key: "ask/model",
    kind: "model",
    detail: { model: "demo" },
    usd: 0.01,
  });
  await house.database.query(
    `insert into approvals (id, run_id, step, title, action, digest, expires_at)
     values ('apr_1', $1, 'send', 'Send a mail', '{"tool":"mail","input":{}}', 'd', '2026-11-22T11:00:00Z')`,
    [id],
  );
  await house.database.query("insert into conversations (id, channel, external) values ('cnv_1', 'web', 'a')");
  await house.database.query(
    `insert into messages (id, conversation_id, direction, author, text, state, run_id)
     values ('msg_1', 'cnv_1', 'out', 'default', 'hello', 'delivered', $1)`,
    [id],
  );
  const run = await house.json<{
    steps: Record<string, unknown>[];
    event: unknown;
    approvals: { status: string }[];
    messages: { text: string }[];
  }>(`/api/runs/${id}`);
  assert.deepEqual(Object.keys(run).sort(), [
    ..."approvals attempts createdAt error event eventId events finishedAt handler id issueId label limits maxAttempts messages".split(
      " ",
    ),
    ..."parentId progress result startedAt status steps usd waiting wakeAt".split(" "),
  ]);
  assert.deepEqual(Object.keys(run.steps[0]!).sort(), [
    ..."attempt detail error finishedAt key kind label startedAt status usd value".split(" "),
  ]);
  const receivedAt = "2026-11-22T12:00:00.000Z";
  assert.deepEqual(run.event, { id: event, source: "github", type: "push", receivedAt });
  assert.equal(run.approvals[0]!.status, "expired", "nobody answered in time");
  assert.equal(run.messages[0]!.text, "hello");
});

test("retrying and canceling answer as the run's state has it", async (t) => {
  const verdicts = {
    done: { done: true, status: "queued" },
    late: { done: false, status: "completed" },
    none: null,
  } as const;
  let verdict: (typeof verdicts)[keyof typeof verdicts] = verdicts.done;
  const house = await testConsole(t, {
    actions: { retry: async () => verdict, cancel: async () => verdict },
  });
  const id = await keepRun(house.database, await keepEvent(house.database));
  for (const [method, path] of [
    ["POST", `/api/runs/${id}/retries`],
    ["DELETE", `/api/runs/${id}`],
  ] as const) {
    verdict = verdicts.done;
    const done = await house.ask(method, path);
    assert.equal(done.status, 202);
    assert.deepEqual(await done.json(), { runId: id });
    verdict = verdicts.late;
    const late = await house.ask(method, path);
    assert.equal(late.status, 409);
    assert.match(await late.text(), /The run is completed\./);
    verdict = verdicts.none;
    assert.equal((await house.ask(method, path)).status, 404);
  }
});
