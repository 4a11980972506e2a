import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openLog } from "../../base/log.ts";
import { createWatch } from "../../issues/watch.ts";
import type { Database } from "../../store/database.ts";
import { fileFailedRuns, openIssues } from "../../store/issues.ts";
import { keepEvent, keepRun, testConsole } from "../../test/console.ts";

const ERROR = {
  code: "handler.threw",
  message: "Error: No plan for jane@example.com",
  next: "Give her one.",
  at: ["planOf (billing/plan.ts:41:9)"],
};

async function testIssues(t: TestContext) {
  const house = await testConsole(t, { actions: { closeIssue: (id, by) => watch.close(id, by) } });
  const watch = createWatch({ ...house, log: openLog({}), watched: () => [], tell: async () => () => {} });
  return house;
}

async function fail(database: Database, handler = "trigger:billing/plan") {
  const run = await keepRun(database, await keepEvent(database), { status: "failed", handler, error: ERROR });
  await database.transaction((inside) => fileFailedRuns(inside, [{ id: run, error: ERROR }]));
  const [row] = await database.query<{ id: string }>("select issue_id as id from runs where id = $1", [run]);
  return { run, issue: row!.id };
}

test("an issue is shown with its newest runs, their error and where it was thrown", async (t) => {
  const house = await testIssues(t);
  const first = await fail(house.database);
  const second = await fail(house.database);
  assert.equal(first.issue, second.issue);
  const { items, next } = await house.json<{ items: object[]; next: string | null }>("/api/issues?status=open");
  assert.equal(next, null);
  const { firstAt, lastAt, openedAt, ...item } = items[0] as Record<string, unknown>;
  assert.deepEqual(item, {
    ...{ id: first.issue, kind: "failure", title: "No plan for …", about: "trigger:billing/plan", status: "open" },
    ...{ count: 2, openings: 1, closedAt: null, closedBy: null },
  });
  for (const at of [firstAt, lastAt, openedAt]) assert.match(String(at), /^20\d\d-.*Z$/);
  const detail = await house.json<{ runs: { id: string; issueId: string; error: unknown }[] }>(
    `/api/issues/${first.issue}`,
  );
  assert.deepEqual(
    detail.runs.map(({ id, issueId, error }) => ({ id, issueId, error })),
    [second, first].map(({ run, issue }) => ({ id: run, issueId: issue, error: ERROR })),
  );
  const { items: runs } = await house.json<{ items: { id: string }[] }>(`/api/runs?issue=${first.issue}&limit=1`);
  assert.deepEqual(
    runs.map((run) => run.id),
    [second.run],
  );
  const { issues } = await house.json<{ issues: number }>("/api/status");
  assert.equal(issues, 1);
});

test("an issue is closed by who asks, and watchers hear of it", async (t) => {
  const house = await testIssues(t);
  const { issue } = await fail(house.database);
  const heard: string[] = [];
  house.live.subscribe(({ kind, id }) => heard.push(`${kind} ${id}`));
  const answer = await house.ask("PATCH", `/api/issues/${issue}`, { body: { status: "closed" } });
  assert.equal(answer.status, 200);
  const closed = (await answer.json()) as Record<string, unknown>;
  assert.deepEqual([closed.status, closed.closedAt], ["closed", "2026-11-22T12:00:00.000Z"]);
  assert.match(String(closed.closedBy), /^admin-/);
  assert.deepEqual(heard, [`issue ${issue}`]);
  assert.deepEqual((await house.json<{ items: object[] }>("/api/issues?status=open")).items, []);
  const again = await house.ask("PATCH", `/api/issues/${issue}`, { body: { status: "closed" } });
  assert.deepEqual(((await again.json()) as Record<string, unknown>).closedBy, closed.closedBy);
});

test("what is no issue, and what can not be asked of one, is refused", async (t) => {
  const house = await testIssues(t);
  const { issue } = await fail(house.database);
  const none = "iss_00000000000000000000000000";
  for (const id of [none, "nonsense"]) assert.equal((await house.ask("GET", `/api/issues/${id}`)).status, 404);
  assert.equal((await house.ask("PATCH", `/api/issues/${none}`, { body: { status: "closed" } })).status, 404);
  assert.equal((await house.ask("PATCH", `/api/issues/${issue}`, { body: { status: "open" } })).status, 400);
  assert.equal((await house.ask("GET", "/api/issues?kind=strange")).status, 400);
  const token = await house.token("read");
  assert.equal((await house.ask("PATCH", `/api/issues/${issue}`, { token, body: { status: "closed" } })).status, 403);
});

test("a changed shape tells its differences in words, and the two samples", async (t) => {
  const house = await testIssues(t);
  const differences = [{ path: "data.customer.email", was: ["text"], now: [] }];
  const detail = { source: "shop", type: "order", differences, before: "evt_1", after: "evt_2" };
  const [id] = await openIssues(house.database, [
    { kind: "shape", about: "shop order", fingerprint: "", title: "T", detail, count: 1 },
  ]);
  const shown = await house.json(`/api/issues/${id}`);
  assert.deepEqual(shown.differences, ["data.customer.email was text, is now missing"]);
  assert.deepEqual([shown.detail, shown.runs, shown.messages], [detail, [], []]);
});
