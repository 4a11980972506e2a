// biome-ignore-all lint/complexity/noCommaOperator: the tools here do one thing and then never end
import assert from "node:assert/strict";
import test from "node:test";
import { DaimonError } from "../base/errors.ts";
import { defineTool, z } from "../define/daimon.ts";
import { answered, calling, counting, mail, NEVER, testAgent } from "../test/agents.ts";
import { house as ours } from "./tools/house.ts";

test("each model call and each tool call is one step, and what is kept is not paid again", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(t, [{ text: "Sending.", ...calling("send_mail", mail) }, "Sent it."], {
    tools: [counting(done)],
  });
  const first = answered(await house.ask("mail ann"));
  assert.equal(first.text, "Sent it.");
  assert.deepEqual([first.turns, first.end, first.demo], [2, "answered", false]);
  assert.ok(first.usd > 0);
  assert.deepEqual(house.keys(), ["model", "send_mail", "model#2"]);
  assert.deepEqual(done, [{ ...mail, key: "run_1/send_mail" }]);
  assert.deepEqual(house.results(), [{ text: house.results()[0]!.text, failed: false }]);
  assert.match(house.results()[0]!.text, /"sent":true/);
  const { kind, detail, usd } = house.kept.get("model")!;
  assert.equal(kind, "model");
  assert.ok(usd > 0);
  assert.equal(
    (detail as { promptTokens: number }).promptTokens,
    Math.ceil(Buffer.byteLength(house.server.requests[0]!.body) / 4),
  );
  assert.deepEqual(house.kept.get("send_mail")!.detail, {
    tool: "send_mail",
    input: mail,
    effect: "send",
    sink: mail.to,
  });
  assert.deepEqual(
    house.changes
      .filter((change) => change.kind === "tool" || change.kind === "delta")
      .map((change) => change.status ?? change.text),
    ["Sending.", "started", "completed", "Sent ", "it."],
  );
  assert.deepEqual(await house.ask("mail ann"), first);
  assert.equal(house.server.requests.length, 2);
  assert.equal(done.length, 1);
});

test("a call that a crash caught between effect and record is told as unknown, never repeated", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(t, [calling("send_mail", mail), "I do not know."], {
    tools: [counting(done, { run: () => (done.push(1), house.crash(), NEVER) })],
  });
  assert.equal(await house.ask("mail ann"), "crashed");
  assert.equal(house.kept.get("send_mail")!.status, "started");
  assert.equal(answered(await house.ask("mail ann")).text, "I do not know.");
  assert.equal(done.length, 1);
  const [result] = house.results();
  assert.ok(result!.failed);
  assert.match(result!.text, /Outcome unknown: it may or may not have taken effect; check before trying again/);
});

test("a repeatable call is made again after a crash, under the same key", async (t) => {
  const done: unknown[] = [];
  const house = await testAgent(t, [calling("send_mail", mail), "Done."], {
    tools: [
      counting(done, {
        repeatable: true,
        run: async (_, { idempotencyKey }) => {
          if (done.push(idempotencyKey) === 1) return house.crash(), NEVER;
          return "ok";
        },
      }),
    ],
  });
  assert.equal(await house.ask("mail ann"), "crashed");
  assert.equal(answered(await house.ask("mail ann")).text, "Done.");
  assert.deepEqual(done, ["run_1/send_mail", "run_1/send_mail"]);
  assert.equal(house.server.requests.length, 2);
});

test("what a call wrote into the hub before a crash is not written again", async (t) => {
  let calls = 0;
  const noting = defineTool({
    ...{ name: "note", description: "Notes.", input: z.object({}), effect: "write", repeatable: true },
    sink: () => "hub",
    run: async (_, { hub }) => {
      const written = [await hub.append("inbox/a.md", "same", "Note"), await hub.append("inbox/a.md", "same", "Note")];
      if (++calls === 1) return house.crash(), NEVER;
      return written.map(({ commit }) => commit);
    },
  });
  const house = await testAgent(t, [calling("note"), "Noted."], { tools: [ours(noting)] });
  assert.equal(await house.ask("note it"), "crashed");
  assert.equal(answered(await house.ask("note it")).text, "Noted.");
  assert.equal(calls, 2);
  assert.equal((await house.hub.read("inbox/a.md")).text, "same\nsame\n");
  assert.match(house.results()[0]!.text, /^\["[0-9a-f]{40}","[0-9a-f]{40}"\]$/);
});

test("what goes wrong with a call is told to the model, and the agent goes on", async (t) => {
  const failing = defineTool({
    name: "fails",
    description: "Fails.",
    input: z.object({}),
    effect: "none",
    run: async () => {
      throw new DaimonError("shop.closed", "The shop is closed, says s3cret-value.", "Come back at nine.");
    },
  });
  const house = await testAgent(
    t,
    [
      {
        toolCalls: [
          { name: "fails", input: {} },
          { name: "send_mail", input: { to: 7 } },
          { name: "no_such", input: {} },
        ],
      },
      "It did not work.",
    ],
    { tools: [{ tool: failing, capability: "x", secret: () => "" }, counting([])] },
  );
  assert.equal(answered(await house.ask("try")).text, "It did not work.");
  const [thrown, misfit, unknown] = house.results();
  assert.deepEqual(thrown, { text: "The shop is closed, says ‹TOKEN›. Come back at nine.", failed: true });
  assert.ok(misfit!.failed && unknown!.failed);
  assert.match(misfit!.text, /expected string, received number[\s\S]*at to[\s\S]*at text/);
  assert.match(unknown!.text, /no tool of that name. There are: fails, send_mail/);
  assert.deepEqual(house.keys(), ["model", "fails", "send_mail", "no_such", "model#2"]);
});

test("a tool call that is no JSON is told to the model, which may go on", async (t) => {
  const house = await testAgent(t, [{ ...calling("send_mail", mail), fault: "json" }, "Again?"], {
    tools: [counting([])],
  });
  assert.equal(answered(await house.ask("mail ann")).text, "Again?");
  assert.match(house.results()[0]!.text, /The call cannot be read: /);
});

test("a big result is cut and says so; what no database can keep is left out", async (t) => {
  const big = counting([], { run: async () => `a\0b\ud800${"é".repeat(50_000)}` });
  const house = await testAgent(t, [calling("send_mail", { ...mail, text: "x\0y" }), "Read."], {
    tools: [big],
  });
  await house.ask("go");
  const [{ text }] = house.results() as unknown as [{ text: string }];
  assert.ok(Buffer.byteLength(text) < 33_000);
  assert.match(text, /a​?b�é+\n\[cut: the first 32000 of 100005 bytes; ask for less at a time\]/);
  assert.ok(!JSON.stringify([...house.kept.values()]).includes("\\u0000"));
});
