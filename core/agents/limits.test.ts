// biome-ignore-all lint/complexity/noCommaOperator: the tools here do one thing and then never end
import assert from "node:assert/strict";
import test from "node:test";
import { answered, calling, counting, limits, mail, NEVER, testAgent } from "../test/agents.ts";

/** The same within the system: what it returns comes from nobody else. */
const noting = (done: unknown[], more = {}) => counting(done, { effect: "write", sink: () => "hub:inbox", ...more });

test("turns end it, honestly", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(
    t,
    ({ index }) => ({ text: `Try ${index}.`, ...calling("send_mail", { ...mail, text: `${index}` }) }),
    { tools: [noting(done)], agent: { limits: { turns: 3 } } },
  );
  const answer = answered(await house.ask("go"));
  assert.equal(answer.end, "turns");
  assert.equal(answer.turns, 3);
  assert.equal(answer.text, "Try 2.\n\nI stopped after 3 turns, the limit here, before I was done.");
  assert.equal(done.length, 3);
});

test("dollars end it: the agent's own; where they let not even the first call through, it is no answer", async (t) => {
  const expensive = { ...calling("send_mail", mail), usage: { input_tokens: 100_000, output_tokens: 100 } };
  const own = await testAgent(
    t,
    ({ index }) => ({ ...expensive, ...calling("send_mail", { ...mail, text: `${index}` }) }),
    {
      tools: [noting([])],
      agent: { limits: { usd: 0.25 } },
    },
  );
  const answer = answered(await own.ask("go"));
  assert.equal(answer.end, "usd");
  assert.ok(answer.usd <= 0.35, `${answer.usd}`);
  assert.match(answer.text, /^I stopped: /);

  const day = await testAgent(t, ["never"], {
    config: { limits: { run: limits, dayUsd: 0.000001, monthUsd: 1 } },
  });
  await assert.rejects(day.ask("go"), { code: "limit.usd", message: /limit of the day/ });
});

test("minutes end it, even when a tool hangs and listens to no signal", async (t) => {
  const hanging = counting([], { run: async () => NEVER });
  const house = await testAgent(t, [calling("send_mail", mail), "unreached"], {
    tools: [hanging],
    agent: { limits: { minutes: 0.02 } },
  });
  const answer = answered(await house.ask("go"));
  assert.equal(answer.end, "minutes");
  assert.equal(answer.text, "I stopped: the 0.02 minutes of this run are over.");
  assert.match(String((house.kept.get("send_mail")!.value as { text: string }).text), /Outcome unknown/);
  assert.deepEqual(answered(await house.ask("go")).end, "minutes");
});

test("minutes that end between two calls of one turn end it as they do between turns", async (t) => {
  const hanging = counting([], { effect: "none", sink: () => "", run: async () => NEVER });
  const toolCalls = ["one", "other"].map((text) => ({ name: "send_mail", input: { ...mail, text } }));
  const house = await testAgent(t, [{ text: "Two mails.", toolCalls }, "unreached"], {
    tools: [hanging],
    agent: { limits: { minutes: 0.02 } },
  });
  const answer = answered(await house.ask("go"));
  assert.equal(answer.text, "Two mails.\n\nI stopped: the 0.02 minutes of this run are over.");
  assert.deepEqual([answer.end, answer.turns], ["minutes", 1]);
  assert.ok(answer.usd > 0);
});

test("the same call over and over is stopped", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(t, () => calling("send_mail", mail), { tools: [noting(done)] });
  const answer = answered(await house.ask("go"));
  assert.equal(done.length, 2);
  assert.deepEqual([answer.end, answer.turns], ["turns", 4]);
  assert.equal(answer.text, "I stopped: I called send_mail in the same way 4 times and came no further.");
  assert.match(house.results()[0]!.text, /This same call was made before/);
});

test("an aborted run makes no further call", async (t) => {
  const house = await testAgent(t, [calling("send_mail", mail), "unreached"], {
    tools: [counting([], { run: async () => (house.cancel(), NEVER) })],
  });
  await assert.rejects(house.ask("go") as Promise<unknown>, (reason) => reason === "canceled");
  assert.equal(house.server.requests.length, 1);
});
