import assert from "node:assert/strict";
import test from "node:test";
import { OWNER } from "../../core/define/label.ts";
import { openConversation } from "../../core/store/messages.ts";
import { type TestHouse, testHouse } from "../../core/test/house.ts";

/** Asks the default agent, as the owner does in chat. */
async function chat({ house }: TestHouse, text: string): Promise<string> {
  const { id } = await openConversation(house.database, { channel: "web", external: "test", title: "Test" });
  const handler = house.handlers.get("agent:default")!;
  const { runIds } = await house.runs.dispatch(
    {
      source: "chat",
      type: "message",
      data: { channel: "web", conversation: id, text, agent: "default" },
      label: OWNER,
    },
    { outcome: "dispatched", reason: null, runs: [{ handler }] },
  );
  return runIds[0]!;
}

const answerOf = (run: { result: unknown }) => (run.result as { text: string }).text;

test("an idea is saved in the inbox, and the answer says where", async (t) => {
  const open = await testHouse(t);
  const run = await open.until(await chat(open, "save idea: a video on webhooks"));
  const [path] = /inbox\/\d{4}-\d\d-\d\d-\d{4}-a-video-on-webhooks\.md/.exec(answerOf(run)) ?? [];
  assert.ok(path, answerOf(run));
  const { text } = await open.house.hub.read(path);
  assert.match(text, /title: "a video on webhooks"\n[\s\S]*# a video on webhooks\n\na video on webhooks\n$/);

  const again = await open.until(await chat(open, "save idea: a video on webhooks"));
  assert.equal(again.status, "completed");
  assert.doesNotMatch(answerOf(again), new RegExp(path));
});

test("an idea is dropped only after the owner's yes, and stays to be found", async (t) => {
  const open = await testHouse(t);
  const { house, until } = open;
  const saved = await until(await chat(open, "save idea: knit a scarf"));
  const path = /inbox\/\S+\.md/.exec(answerOf(saved))![0];
  const runId = await chat(open, `forget idea ${path}`);
  const waiting = await until(runId, /waiting/);
  const { approvalId } = (waiting as unknown as { waiting: { approvalId: string } }).waiting;
  assert.doesNotMatch((await house.hub.read(path)).text, /Dropped/);
  await house.runs.answer(approvalId, "approved", "owner");
  assert.equal((await until(runId)).status, "completed");
  assert.match((await house.hub.read(path)).text, /# knit a scarf\n[\s\S]*\*\*Dropped\*\* on \d{4}-\d\d-\d\d\.\n$/);
});
