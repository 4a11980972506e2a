import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { openLog } from "../base/log.ts";
import { createOutbox } from "../channels/outbox.ts";
import { keepEvent, keepRun } from "../test/console.ts";
import { testDatabase } from "../test/database.ts";
import { type Engine, testEngine } from "../test/engine.ts";
import type { Database } from "./database.ts";
import { closeSettled, fileFailedRuns, openIssues } from "./issues.ts";
import { claimMessages, keepOutgoing, markMessage, openConversation } from "./messages.ts";
import { takeOver } from "./processes.ts";
import { findIssueDetail, listIssues } from "./views/issues.ts";
import { listRuns } from "./views/runs.ts";

const all = async (database: Database) =>
  await database.query<{ id: string; about: string; title: string; status: string; count: number; openings: number }>(
    "select id, about, title, status, count, openings from issues order by about, title",
  );
const shortly = async (database: Database) =>
  (await all(database)).map(({ about, title, status, count }) => [about, title, status, count]);
const now = new Date("2026-11-22T12:00:00Z");

test("runs that fail of one cause are one issue, those of two causes two; the runs of an issue are found", async (t) => {
  const engine = await testEngine(t, {
    "trigger:billing/plan": {
      retry: { attempts: 1, delays: [] },
      run: async ({ event }) => {
        if (event.data.plan === null) throw new Error(`No plan for ${event.data.email}`);
        throw new TypeError("Cannot read properties of undefined (reading 'price')");
      },
    },
    fine: { run: async () => "done" },
  });
  const send = async (data: object) => (await engine.until(await engine.send("trigger:billing/plan", data))).id;
  const jane = await send({ email: "jane@example.com", plan: null });
  const bob = await send({ email: "bob@example.org", plan: null });
  const other = await send({ email: "bob@example.org" });
  const fine = await engine.until(await engine.send("fine"));
  assert.deepEqual(await shortly(engine.database), [
    ["trigger:billing/plan", "No plan for …", "open", 2],
    ["trigger:billing/plan", "TypeError: Cannot read properties of undefined (reading 'price')", "open", 1],
  ]);
  const [plan, price] = await all(engine.database);
  const runsOf = async (issue: string) =>
    (await listRuns(engine.database, { issue, limit: 10 })).items.map(({ id, issueId }) => [id, issueId]);
  assert.deepEqual(await runsOf(plan!.id), [
    [bob, plan!.id],
    [jane, plan!.id],
  ]);
  assert.deepEqual(await runsOf(price!.id), [[other, price!.id]]);
  assert.equal((fine as unknown as { issue_id: string | null }).issue_id, null);
  const detail = await findIssueDetail(engine.database, plan!.id);
  assert.deepEqual(
    (detail!.runs as { id: string }[]).map((run) => run.id),
    [bob, jane],
  );
});

test("an issue closes when each of its runs was put right, by a retry or a replay, and comes back with the next failure", async (t) => {
  let broken = true;
  const engine = await testEngine(t, {
    pay: {
      retry: { attempts: 1, delays: [] },
      run: async ({ event }) => {
        if (broken) throw new Error(`Order ${event.data.n} is broken`);
      },
    },
  });
  const runs = [];
  for (const n of [1, 2, 3]) runs.push(await engine.until(await engine.send("pay", { n })));
  assert.deepEqual(await closeSettled(engine.database, now), []);
  broken = false;
  await engine.runs.retry(runs[0]!.id);
  await engine.until(runs[0]!.id, "completed");
  const { runIds } = await engine.runs.replay((runs[1] as unknown as { event_id: string }).event_id);
  await engine.until(runIds[0]!, "completed");
  assert.deepEqual(await closeSettled(engine.database, now), [], "one is still broken");
  await engine.runs.retry(runs[2]!.id);
  await engine.until(runs[2]!.id, "completed");
  const [issue] = await all(engine.database);
  assert.deepEqual(await closeSettled(engine.database, now), [issue!.id]);
  assert.deepEqual(await shortly(engine.database), [["pay", "Order … is broken", "closed", 3]]);
  assert.deepEqual(await closeSettled(engine.database, now), []);
  broken = true;
  await engine.until(await engine.send("pay", { n: 4 }));
  const [again] = await all(engine.database);
  assert.deepEqual([again!.id, again!.status, again!.count, again!.openings], [issue!.id, "open", 4, 2]);
  assert.deepEqual((await listIssues(engine.database, { limit: 5, status: "closed" })).items, []);
});

test("a replay with another payload puts a run right", async (t) => {
  const engine = await testEngine(t, {
    pay: {
      retry: { attempts: 1, delays: [] },
      run: async ({ event }) => {
        if (!event.data.email) throw new Error("No address");
      },
    },
  });
  const run = await engine.until(await engine.send("pay"));
  const { runIds } = await engine.runs.replay((run as unknown as { event_id: string }).event_id, {
    data: { email: "a@b.c" },
  });
  await engine.until(runIds[0]!, "completed");
  assert.equal((await closeSettled(engine.database, now)).length, 1);
});

test("a run that fails again of another cause goes over to that one's issue", async (t) => {
  let word = "First";
  const engine = await testEngine(t, {
    pay: {
      retry: { attempts: 1, delays: [] },
      run: async () => {
        throw new Error(`${word} trouble`);
      },
    },
  });
  const run = await engine.until(await engine.send("pay"));
  word = "Second";
  await engine.runs.retry(run.id);
  await engine.until(run.id, "failed");
  while ((await all(engine.database)).length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await closeSettled(engine.database, now);
  assert.deepEqual(await shortly(engine.database), [
    ["pay", "First trouble", "closed", 1],
    ["pay", "Second trouble", "open", 1],
  ]);
});

test("many workers that fail at once count each failure once", async (t) => {
  const { database } = await testDatabase(t);
  const handlers = Object.fromEntries(
    ["one", "two", "three"].map((name) => [
      name,
      {
        retry: { attempts: 1, delays: [] },
        run: async () => {
          throw new Error(`It is ${Math.random() < 0.5 ? "late" : "early"}`);
        },
      },
    ]),
  );
  const engines: Engine[] = [];
  for (let place = 0; place < 3; place++) engines.push(await testEngine(t, handlers, { database }));
  const closing = (async () => {
    for (let round = 0; round < 50; round++) await closeSettled(database, now);
  })();
  await Promise.all([...Array(300)].map((_, n) => engines[n % 3]!.send(["one", "two", "three"][n % 3]!)));
  for (;;) {
    const [left] = await database.query<{ count: number }>(
      "select count(*) as count from runs where status <> 'failed'",
    );
    if (left!.count === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await closing;
  const issues = await all(database);
  assert.equal(issues.length, 6);
  assert.equal(
    issues.reduce((sum, issue) => sum + issue.count, 0),
    300,
  );
  assert.ok(issues.every((issue) => issue.status === "open"));
  const filed = await database.query<{ id: string; count: number }>(
    "select issue_id as id, count(*) as count from runs group by issue_id order by 1",
  );
  assert.deepEqual(
    filed,
    issues.map(({ id, count }) => ({ id, count })).sort((a, b) => (a.id < b.id ? -1 : 1)),
  );
});

test("an issue in which something fails while it is being closed stays open", async (t) => {
  const { database } = await testDatabase(t);
  const run = await keepRun(database, await keepEvent(database), { status: "failed" });
  const error = { code: "a.b", message: "It is broken" };
  await database.transaction((inside) => fileFailedRuns(inside, [{ id: run, error }]));
  await database.query("update runs set status = 'completed'");
  const late = await keepRun(database, await keepEvent(database), { status: "failed" });
  let closing: Promise<string[]> | undefined;
  await database.transaction(async (inside) => {
    await fileFailedRuns(inside, [{ id: late, error }]);
    closing = closeSettled(database, now);
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 200))]);
  });
  assert.deepEqual(await closing, []);
  assert.deepEqual(await shortly(database), [["trigger:github/note", "It is broken", "open", 2]]);
});

test("a run that took its workers down with it belongs to an issue", async (t) => {
  const { database } = await testDatabase(t);
  const run = await keepRun(database, await keepEvent(database), { status: "running" });
  await database.query("update runs set crashes = 20, worker = 'prc_gone' where id = $1", [run]);
  assert.deepEqual(await takeOver(database, 1000), [run]);
  assert.deepEqual(await shortly(database), [
    ["trigger:github/note", "Its worker died … times while it ran.", "open", 1],
  ]);
});

test("a message that cannot be delivered belongs to an issue of its channel; one that is tried again does not", async (t) => {
  const { database } = await testDatabase(t);
  const { id } = await openConversation(database, { channel: "pigeon", external: "ada" });
  for (const text of ["one", "two"]) {
    await keepOutgoing(database, { conversationId: id, author: "daimon", text, runId: null, step: null });
  }
  let tries = 0;
  const outbox = createOutbox({
    channels: () =>
      new Map([
        [
          "pigeon",
          {
            secret: () => "",
            channel: {
              name: "pigeon",
              send: async () => {
                if (++tries === 2) throw new Error("The bird is ill");
                throw Object.assign(new Error(`There is no chat ${tries}`), { code: "chat.missing" });
              },
            },
          },
        ],
      ]),
    claim: (most) => claimMessages(database, most),
    mark: (message, mark) => markMessage(database, message, mark),
    clock: systemClock,
    log: openLog({}),
  });
  outbox.start();
  while (tries < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await outbox.stop();
  assert.deepEqual(await shortly(database), [["channel:pigeon", "There is no chat …", "open", 1]]);
  const [issue] = await all(database);
  const detail = await findIssueDetail(database, issue!.id);
  assert.equal((detail!.messages as unknown[]).length, 1);
  assert.deepEqual(await closeSettled(database, now), [], "only the owner knows when it is put right");
});

test("issues are listed the one that was last met first, page by page", async (t) => {
  const { database } = await testDatabase(t);
  for (let n = 1; n <= 5; n++) {
    const at = new Date(now.getTime() + ((n * 3) % 5) * 1000);
    await openIssues(database, [{ kind: "failure", about: `h${n}`, fingerprint: "x", title: `T${n}`, count: 1, at }]);
  }
  const first = await listIssues(database, { limit: 2 });
  const second = await listIssues(database, { limit: 2, cursor: first.next! });
  const third = await listIssues(database, { limit: 2, cursor: second.next! });
  const titles = [first, second, third].flatMap((page) => page.items.map((item) => item.title));
  assert.deepEqual(titles, ["T3", "T1", "T4", "T2", "T5"]);
  assert.equal(third.next, null);
  assert.deepEqual((await listIssues(database, { limit: 2, kind: "shape" })).items, []);
});

test("an issue of a burst closes when each of its events was put right, one by one in any order", async (t) => {
  let broken = true;
  const engine = await testEngine(t, {
    pay: {
      ...{ debounce: { delay: "50ms" }, retry: { attempts: 1, delays: [] } },
      run: async () => {
        if (broken) throw new Error("No");
      },
    },
  });
  let id = "";
  for (const n of [1, 2, 3]) id = await engine.send("pay", { n });
  await engine.until(id, "failed");
  broken = false;
  const events = await engine.database.query<{ id: string }>("select id from events order by id");
  const closed: number[] = [];
  for (const place of [2, 0, 1]) {
    const { runIds } = await engine.runs.replay(events[place]!.id);
    await engine.until(runIds[0]!, "completed");
    closed.push((await closeSettled(engine.database, now)).length);
  }
  assert.deepEqual(closed, [0, 0, 1]);
});
