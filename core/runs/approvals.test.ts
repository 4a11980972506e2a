import assert from "node:assert/strict";
import { test } from "node:test";
import type { Handler } from "../define/context.ts";
import { readFigures } from "../store/figures.ts";
import { readStatus } from "../store/views/system.ts";
import { listApprovals } from "../store/views/talk.ts";
import { testEngine } from "../test/engine.ts";

test("an approval is asked once and answered once", async (t) => {
  const engine = await testEngine(t, {
    careful: {
      run: async ({ approve }) =>
        await approve("send", { title: "Send the mail", action: { tool: "mail", input: { to: "ann" } } }),
    },
  });
  for (const [answer, result] of [
    ["approved", true],
    ["denied", false],
  ] as const) {
    const id = await engine.send("careful");
    await engine.until(id, "waiting");
    const [approval] = await engine.database.query<{ id: string; title: string }>(
      "select id, title from approvals where run_id = $1",
      [id],
    );
    assert.equal(approval!.title, "Send the mail");
    await engine.runs.answer(approval!.id, answer, "owner");
    await assert.rejects(engine.runs.answer(approval!.id, answer, "owner"), { code: "approval.answered" });
    assert.equal((await engine.until(id)).result, result);
  }
  await assert.rejects(engine.runs.answer("apr_none", "approved", "owner"), { code: "approval.missing" });
});

test("nobody is asked for a run that has ended; retried, it asks again", async (t) => {
  const engine = await testEngine(t, {
    careful: { run: ({ approve }) => approve("send", { title: "Send", action: { tool: "mail", input: "ann" } }) },
  });
  const { database } = engine;
  const now = new Date();
  const id = await engine.send("careful");
  await engine.until(id, "waiting");
  const statusOf = async () => (await listApprovals(database, { limit: 1 }, now)).items.map(({ status }) => status);
  const counts = async () => [(await readStatus(database, now)).approvals, (await readFigures(database)).approvals];
  assert.deepEqual([await statusOf(), await counts()], [["waiting"], [1, 1]]);
  await engine.runs.cancel(id);
  assert.deepEqual([await statusOf(), await counts()], [["expired"], [0, 0]]);
  const [approval] = await database.query<{ id: string }>("select id from approvals");
  await assert.rejects(engine.runs.answer(approval!.id, "approved", "owner"), { code: "approval.answered" });
  await engine.runs.retry(id);
  await engine.until(id, "waiting");
  await engine.runs.answer(approval!.id, "approved", "owner");
  assert.equal((await engine.until(id)).result, true);
});

test("what is asked may hold signs that the database does not", async (t) => {
  const engine = await testEngine(t, {
    odd: {
      run: ({ approve }) => approve("a", { title: "A\0", action: { tool: "t", input: "\0\ud800" }, timeout: "1ms" }),
    },
  });
  assert.equal((await engine.until(await engine.send("odd"))).result, false);
  const [asked] = await engine.database.query<object>("select title, action ->> 'input' as input from approvals");
  assert.deepEqual(asked, { title: "A\ufffd", input: "\ufffd\ufffd" });
});

test("an answer is bound to the exact action: changed code may not use it for another", async (t) => {
  const careful = (to: string) => ({
    run: async ({ approve }: Parameters<Handler>[0]) =>
      await approve("send", { title: "Send the mail", action: { tool: "mail", input: { to } } }),
  });
  const engine = await testEngine(t, { careful: careful("ann") });
  const id = await engine.send("careful");
  await engine.until(id, "waiting");
  const [approval] = await engine.database.query<{ id: string }>("select id from approvals where run_id = $1", [id]);
  engine.handlers.careful = careful("mallory");
  await engine.runs.answer(approval!.id, "approved", "owner");
  assert.equal((await engine.until(id)).error?.code, "run.changed");
});

test("an approval that nobody gives is over in time, and counts as no", async (t) => {
  const engine = await testEngine(t, {
    careful: {
      run: async ({ approve }) =>
        await approve("act", { title: "Act", action: { tool: "x", input: 1 }, timeout: "80ms" }),
    },
  });
  const run = await engine.until(await engine.send("careful"));
  assert.equal(run.result, false);
  const [approval] = await engine.database.query<{ status: string }>("select status from approvals where run_id = $1", [
    run.id,
  ]);
  assert.equal(approval!.status, "expired");
});
