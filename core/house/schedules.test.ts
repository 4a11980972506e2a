import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OWNER, STRANGER } from "../define/label.ts";
import type { Failure } from "../define/run.ts";
import { guard } from "../policy/guard.ts";
import { fileFailedRuns } from "../store/issues.ts";
import { lastMessages, openConversation } from "../store/messages.ts";
import { findSchedule } from "../store/schedules.ts";
import { listIssues } from "../store/views/issues.ts";
import { testHouse } from "../test/house.ts";

/** A house without capabilities, with the words of a conversation of the web. */
async function testSpeaking(t: TestContext) {
  const opened = await testHouse(t, { capabilities: mkdtempSync(join(tmpdir(), "daimon-none-")) });
  const { database } = opened.house;
  const said = async (external: string) => {
    const { id } = await openConversation(database, { channel: "web", external, title: "" });
    return { id, texts: (await lastMessages(database, id, 10)).map(({ text }) => text) };
  };
  return { ...opened, database, said };
}

const maker = { origin: "owner", conversationId: null, label: OWNER } as const;

async function untilSaid(ask: () => Promise<{ texts: string[] }>): Promise<string> {
  for (let tries = 0; tries < 500; tries++) {
    const { texts } = await ask();
    if (texts.length > 0) return texts.at(-1)!;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail("nothing was said");
}

test("a reminder is told to the owner once, late when nothing ran, and is done", async (t) => {
  const { house, database, said } = await testSpeaking(t);
  await house.schedules.stop();
  const { name } = await house.madeSchedules.add({ when: "in 20 minutes", text: "Call Ana" }, maker);
  assert.equal(await house.schedules.tick(), 0);
  await database.query(
    "update schedules set next_at = next_at - interval '3 hours', due_at = due_at - interval '3 hours'",
  );
  assert.equal(await house.schedules.tick(), 1);
  assert.equal(await house.schedules.tick(), 0);
  const text = await untilSaid(() => said("owner"));
  assert.match(text, /^Reminder, meant for \w+day \d+ \w+ \d{4}, \d\d:\d\d: Call Ana$/);
  const row = await findSchedule(database, name);
  assert.deepEqual([row?.nextAt, row?.lastAt instanceof Date], [null, true]);
});

test("an agent is asked at its time, knows for which day, and answers to the conversation that the schedule is of", async (t) => {
  const { house, database, said, until } = await testSpeaking(t);
  const { id } = await said("desk");
  const wish = { when: "every tuesday at 9:00", text: "What do you know about competitors?", agent: "default" };
  const { name } = await house.madeSchedules.add(wish, { ...maker, conversationId: id });
  const { runIds } = await house.schedules.fire(name);
  const run = await until(runIds[0]!);
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  assert.match((await said("desk")).texts[0]!, /\(demo, no model\)$/);
  const [event] = await database.query<{ data: { words: string; agent: string } }>(
    "select data from events where source = 'schedule'",
  );
  assert.match(event!.data.words, /^\w+day \d+ \w+ \d{4}, \d\d:\d\d$/);
  assert.equal(event!.data.agent, "default");
});

test("an agent that is asked for a reminder in chat makes one for that conversation", async (t) => {
  const { house, database, said, send } = await testSpeaking(t);
  const { id } = await said("desk");
  const handler = house.handlers.get("agent:default")!;
  const data = { text: "Remind me tomorrow at 9 to call Ana", conversation: id };
  const kept = await house.runs.dispatch(
    { source: "chat", type: "message", data, label: OWNER },
    { outcome: "dispatched", reason: null, runs: [{ handler }] },
  );
  const text = await untilSaid(() => said("desk"));
  assert.match(text, /^call-ana is made; it comes \w+day \d+ \w+ \d{4}, 09:00 \(Europe\/Amsterdam\)\.$/);
  const row = await findSchedule(database, "call-ana");
  assert.deepEqual(
    [row?.origin, row?.agent, row?.text, row?.conversationId, row?.label, row?.cron],
    ["agent", null, "call Ana", id, OWNER, null],
  );
  assert.equal(kept.duplicate, false);
  assert.ok(send);
});

test("an untrusted run asks before it makes or removes a schedule; a trusted one does not", () => {
  for (const [tool, effect] of [
    ["create_schedule", "write"],
    ["delete_schedule", "destroy"],
  ] as const) {
    const decide = (label: typeof OWNER) => guard({ tool, effect, sink: "daimon", label }).decision;
    assert.deepEqual([decide(STRANGER), decide(OWNER)], ["ask", "allow"], tool);
  }
});

test("what a stranger's words have made stays untrusted, and agents cannot fill the table", async (t) => {
  const { house, database } = await testSpeaking(t);
  const untrusted = { origin: "agent", conversationId: null, label: STRANGER } as const;
  await house.madeSchedules.add({ when: "every day at 9", text: "Send it all", agent: "default" }, untrusted);
  const { runIds } = await house.schedules.fire("send-it-all");
  const [run] = await database.query<{ integrity: string }>("select integrity from runs where id = $1", [runIds[0]]);
  assert.equal(run!.integrity, "untrusted");
  await database.query(
    `insert into schedules (name, cron, zone, origin, policy, next_at)
     select 'made-' || n, '0 9 * * *', 'UTC', 'agent', '{}', now() + interval '1 day' from generate_series(1, 100) n`,
  );
  await assert.rejects(house.madeSchedules.add({ when: "every day at 9", text: "More" }, untrusted), {
    code: "schedule.many",
  });
});

test("a failing schedule tells the owner once, in the conversation it is of: what, since when, and what next", async (t) => {
  const { house, database, said, until } = await testSpeaking(t);
  const { name } = await house.madeSchedules.add({ when: "every day at 9", text: "Ask", agent: "default" }, maker);
  const fire = async (error: object | null) => {
    const { runIds } = await house.schedules.fire(name);
    await until(runIds[0]!);
    if (!error) return;
    await database.query("update runs set status = 'failed', error = $2 where id = $1", [
      runIds[0],
      JSON.stringify(error),
    ]);
    await database.transaction((inside) => fileFailedRuns(inside, [{ id: runIds[0]!, error: error as Failure }]));
  };
  const told = async () => {
    await house.watch.look();
    await house.schedules.settle();
    await house.watch.look();
    return (await said("owner")).texts.filter((text) => !text.endsWith("(demo, no model)"));
  };
  await fire({ code: "x.wrong", message: "It broke.", next: "Mend it." });
  const [text, ...more] = await told();
  assert.match(
    text!,
    /^The schedule ask failed, and never went well\. For \w+day .*: It broke\. Mend it\. Next: daimon runs show (run_\w+); once it is mended, daimon runs retry \1$/,
  );
  assert.deepEqual(more, []);
  const { items } = await listIssues(database, { limit: 5 });
  assert.deepEqual(
    items.map(({ about, status }) => [about, status]),
    [["schedule:ask", "open"]],
  );
  await fire({ code: "y.wrong", message: "Another cause." });
  assert.equal((await told()).length, 1, "told once");
  await fire(null);
  assert.deepEqual((await told()).slice(1), ["The schedule ask goes well again, after 2 failed runs."]);
  const kept = await database.query<{ type: string }>("select type from events where source = 'daimon' order by id");
  assert.deepEqual(
    kept.map(({ type }) => type),
    ["schedule.failed", "schedule.recovered"],
  );
});
