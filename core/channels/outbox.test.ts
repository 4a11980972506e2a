import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { DaimonError } from "../base/errors.ts";
import { openLog } from "../base/log.ts";
import type { Channel } from "../define/channel.ts";
import { claimMessages, keepOutgoing, lastMessages, markMessage, openConversation } from "../store/messages.ts";
import { testDatabase } from "../test/database.ts";
import { createOutbox } from "./outbox.ts";

async function open(t: TestContext, send: Channel["send"]) {
  const { database } = await testDatabase(t);
  const conversation = await openConversation(database, { channel: "post", external: "ann" });
  const channels = new Map([["post", { channel: { name: "post", send }, secret: () => "s3cret" }]]);
  const outbox = createOutbox({
    channels: () => channels,
    claim: (most) => claimMessages(database, most),
    mark: (id, mark) => markMessage(database, id, mark),
    clock: systemClock,
    log: openLog({}),
  });
  t.after(() => outbox.stop());
  const say = (text: string, step = text) =>
    keepOutgoing(database, {
      conversationId: conversation.id,
      author: "default",
      text,
      runId: "run_1",
      step,
    });
  const states = async () =>
    (await lastMessages(database, conversation.id, 100)).map(({ text, state }) => `${text} ${state}`).sort();
  const settled = async () => {
    for (let round = 0; round < 200; round++) {
      const now = await states();
      if (!now.some((line) => /pending|sending/.test(line))) return now;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return states();
  };
  return { database, outbox, say, states, settled, channels };
}

test("what was kept is delivered once, to the conversation's address, with the channel's secret", async (t) => {
  const sent: string[] = [];
  const house = await open(t, async ({ conversation, text }, { secret }) => {
    sent.push(`${conversation} ${text} ${secret("TOKEN")}`);
    return { state: "delivered", externalId: "x1" };
  });
  for (let each = 0; each < 45; each++) await house.say(`m${each}`);
  await house.say("m1 again", "m1");
  house.outbox.start();
  const states = await house.settled();
  assert.equal(states.length, 45);
  assert.ok(states.every((line) => line.endsWith("delivered")));
  assert.equal(new Set(sent).size, 45);
  assert.equal(sent.length, 45);
  assert.ok(sent.includes("ann m3 s3cret"));
});

test("a message that certainly was not delivered is tried again, later and later", async (t) => {
  const house = await open(t, async () => {
    throw new Error("503 from far away");
  });
  await house.say("hello");
  house.outbox.start();
  const rows = () =>
    house.database.query<{ attempts: number; wait: number; error: { message: string } }>(
      "select attempts, extract(epoch from due_at - now())::float as wait, error from messages where state = 'pending'",
    );
  for (let round = 0; round < 100 && (await rows())[0]?.attempts !== 1; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const [row] = await rows();
  assert.equal(row!.attempts, 1);
  assert.ok(row!.wait > 1 && row!.wait <= 2, `${row!.wait} s`);
  assert.match(row!.error.message, /503 from far away/);
  await house.database.query("update messages set attempts = 6, due_at = now()");
  house.outbox.wake();
  for (let round = 0; round < 100 && !(await house.states())[0]!.endsWith("failed"); round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(await house.states(), ["hello failed"]);
});

test("an error that no other try would mend, and a channel that is gone, fail at once with their reason", async (t) => {
  const house = await open(t, async () => {
    throw new DaimonError("secret.missing", "The secret TOKEN is not set.");
  });
  await house.say("one");
  house.outbox.start();
  assert.deepEqual(await house.settled(), ["one failed"]);
  house.channels.clear();
  await house.say("two");
  house.outbox.wake();
  assert.deepEqual(await house.settled(), ["one failed", "two failed"]);
  const rows = await house.database.query<{ error: { code: string } }>("select error from messages order by id");
  assert.deepEqual(
    rows.map((row) => row.error.code),
    ["secret.missing", "channel.missing"],
  );
});

test("where nobody can know whether it arrived, it is said so and not sent a second time", async (t) => {
  let sent = 0;
  const house = await open(t, async () => {
    sent++;
    return { state: "unknown" };
  });
  await house.say("maybe");
  await house.say("crashed");
  await house.database.query(
    "update messages set state = 'sending', attempts = 1, due_at = now() - interval '6 minutes' where text = 'crashed'",
  );
  house.outbox.start();
  assert.deepEqual(await house.settled(), ["crashed unknown", "maybe unknown"]);
  assert.equal(sent, 1);
});

test("what is said in the console or the CLI is delivered by being kept", async (t) => {
  const house = await open(t, async () => assert.fail("nothing is to be sent"));
  const web = await openConversation(house.database, { channel: "web", external: "w" });
  await keepOutgoing(house.database, {
    conversationId: web.id,
    author: "default",
    text: "hi",
    runId: "run_2",
    step: "answer",
  });
  const [message] = await lastMessages(house.database, web.id, 10);
  assert.equal(message!.state, "delivered");
});

test("what is said, and why it was not delivered, may hold signs that the database does not", async (t) => {
  const house = await open(t, async ({ text }) => {
    throw new DaimonError("post.refused.wrong", `No NUL \0 in ${text}`);
  });
  await house.say("a\0b\ud83d", "step");
  house.outbox.start();
  assert.deepEqual(await house.settled(), ["a\ufffdb\ufffd failed"]);
});
