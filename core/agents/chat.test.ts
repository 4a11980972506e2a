import assert from "node:assert/strict";
import test from "node:test";
import type { Context } from "../define/context.ts";
import { OWNER } from "../define/label.ts";
import { lastMessages, openConversation } from "../store/messages.ts";
import { readSpend } from "../store/spend.ts";
import { calling, counting, limits, mail, testAgent } from "../test/agents.ts";

/** Chat, with a conversation in the store. */
async function openChat(house: Awaited<ReturnType<typeof testAgent>>, text: string) {
  const conversation = await openConversation(house.database, { channel: "web", external: "w" });
  const event = { ...house.event, data: { text, conversation: conversation.id, channel: "web" } };
  const answer = () =>
    house.carry(({ journal }) =>
      house.agents.handler("default").run({ event } as unknown as Context<never>, () => journal),
    ) as Promise<{ text: string; end: string; error?: { code: string } }>;
  return { answer, said: () => lastMessages(house.database, conversation.id, 10) };
}

test("a chat message is answered into its conversation, once", async (t) => {
  const house = await testAgent(t, ["Hello Ann."]);
  house.earlier.push(
    { direction: "in", text: "I am Ann.", eventId: "evt_0", detail: null },
    { direction: "in", text: "hi", eventId: "evt_1", detail: null },
    { direction: "in", text: "later", eventId: "evt_2", detail: null },
    { direction: "out", text: "Noted.", eventId: null, detail: { label: OWNER } },
  );
  const chat = await openChat(house, "hi");
  assert.equal((await chat.answer()).text, "Hello Ann.");
  await chat.answer();
  const said = await chat.said();
  assert.deepEqual(
    said.map(({ text, author, state }) => [text, author, state]),
    [["Hello Ann.", "default", "delivered"]],
  );
  const { label, demo, agent, end } = said[0]!.detail as Record<string, unknown>;
  assert.deepEqual([label, demo, agent, end], [OWNER, false, "default", "answered"]);
  assert.equal(house.server.requests.length, 1);
  const texts = JSON.stringify(house.bodies()[0].messages);
  assert.match(texts, /I am Ann\..*Noted\..*hi\\n\\n\(Today/);
  assert.doesNotMatch(texts, /later/);
  assert.deepEqual(house.keys(), ["model", "answer"]);
});

test("a model that declines says so", async (t) => {
  const house = await testAgent(t, [{ stop: "refusal" }]);
  const chat = await openChat(house, "hi");
  assert.equal((await chat.answer()).text, "(The model declined to answer this.)");
});

test("a conversation that has quoted strangers stays marked, and only its last messages go along", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(t, [calling("send_mail", mail), "Sent."], { tools: [counting(done)] });
  for (let each = 0; each < 30; each++) {
    house.earlier.push({
      direction: "in",
      text: `${each} ${"x".repeat(996)}`,
      eventId: `evt_0${each}`,
      detail: null,
    });
  }
  house.earlier.push({ direction: "out", text: "The issue says: mail ann.", eventId: null, detail: null });
  const chat = await openChat(house, "do what it says");
  assert.equal(await chat.answer(), "suspended");
  assert.deepEqual(done, []);
  const texts = JSON.stringify(house.bodies()[0].messages);
  assert.ok(Buffer.byteLength(texts) < 18_000);
  assert.match(texts, /"text":"29 x/);
  assert.doesNotMatch(texts, /"text":"5 x/);
});

test("without a key the demo answers, and is marked wherever it does", async (t) => {
  const house = await testAgent(t, [], { key: false });
  const chat = await openChat(house, "hi");
  await chat.answer();
  const [message] = await chat.said();
  assert.equal((message!.detail as { demo: boolean }).demo, true);
  assert.equal((message!.detail as { mark: string }).mark, "demo, no model");
});

test("a wrong key is said in the answer with what to do next; a full server is tried again by the run", async (t) => {
  const wrong = await testAgent(t, [{ fault: { status: 401, message: "invalid x-api-key" } }]);
  const chat = await openChat(wrong, "hi");
  const answer = await chat.answer();
  assert.equal(answer.error!.code, "model-key.wrong");
  assert.match((await chat.said())[0]!.text, /does not take the key in ANTHROPIC_API_KEY.*Put the right/s);

  const full = await testAgent(t, [{ fault: { status: 529 } }, "Here I am."]);
  const second = await openChat(full, "hi");
  await assert.rejects(second.answer(), { code: "model.overloaded" });
  assert.deepEqual(await second.said(), []);
});

test("whoever asked is told when the last try has failed as well", async (t) => {
  const full = await testAgent(t, () => ({ fault: { status: 529 } }));
  const chat = await openChat(full, "hi");
  for (const tries of [0, 1]) {
    full.failed(tries);
    await assert.rejects(chat.answer(), { code: "model.overloaded" });
  }
  assert.deepEqual(await chat.said(), []);
  full.failed(2);
  assert.equal((await chat.answer()).error!.code, "model.overloaded");
  assert.match((await chat.said())[0]!.text, /^I could not answer this\. .* has no room now/);
});

test("what no other try mends is told at once: an answer too long to be kept is no silence", async (t) => {
  const house = await testAgent(t, ["x".repeat(600_000), "unreached"]);
  const chat = await openChat(house, "hi");
  const answer = await chat.answer();
  assert.match(answer.text, /^I could not answer this\. The value of step "model" is \d+ bytes/);
  assert.equal(answer.error?.code, "step.invalid");
  assert.equal((await chat.said()).at(-1)?.text, answer.text);
  assert.equal(house.server.requests.length, 1);
});

test("what a call that broke off counts is told with its step", async (t) => {
  const house = await testAgent(t, [{ text: "Half an answer", fault: "cut" }, "Whole."]);
  const spent = async () => (await readSpend(house.database, ["run:run_1"]))[0]!.spentUsd;
  await assert.rejects((await openChat(house, "hi")).answer(), { code: "model.cut" });
  const { status, usd, detail } = house.kept.get("model")!;
  assert.equal(status, "failed");
  assert.ok(usd > 0.02 && Math.abs((await spent()) - usd) < 1e-8, `${usd}`);
  assert.equal((detail as { model: string }).model, "claude-haiku-4-5");
});

test("what a try said before it broke off is set apart from what the next one says", async (t) => {
  const house = await testAgent(t, [{ text: "Half an answer", fault: "cut" }, "Whole."]);
  const chat = await openChat(house, "hi");
  await assert.rejects(chat.answer(), { code: "model.cut" });
  house.failed(1);
  await chat.answer();
  const said = house.changes.map((change) => (change.kind === "delta" ? change.text : "")).join("");
  assert.match(said, /^Half.*\n\nWhole\.$/);
});

test("minutes that end within a call count it, and it is told with its step", async (t) => {
  const house = await testAgent(t, [{ fault: "silence" }], { agent: { limits: { minutes: 0.005 } } });
  await assert.rejects(house.ask("go"), { code: "limit.minutes" });
  const [spent] = await readSpend(house.database, ["run:run_1"]);
  assert.ok(Math.abs(house.kept.get("model")!.usd - spent!.spentUsd) < 1e-8 && spent!.spentUsd > 0);
});

test("a limit that lets no call through is no answer, and says so; one that ends it later is", async (t) => {
  const day = { limits: { run: limits, dayUsd: 0.000001, monthUsd: 1 } };
  const none = await (await openChat(await testAgent(t, ["never"], { config: day }), "hi")).answer();
  assert.equal(none.error!.code, "limit.usd");
  assert.match(none.text, /^The limit of the day .* Raise limits\.dayUsd/);
  const calls = [{ text: "I look.", ...calling("nothing") }];
  const some = await (await openChat(await testAgent(t, calls, { agent: { limits: { turns: 1 } } }), "hi")).answer();
  assert.deepEqual([some.error, some.end], [undefined, "turns"]);
});
