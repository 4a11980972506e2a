import assert from "node:assert/strict";
import test from "node:test";
import { type Clock, systemClock } from "../base/clock.ts";
import { testAgent } from "../test/agents.ts";
import { hubTools } from "./tools/hub.ts";
import { systemTools } from "./tools/system.ts";

test("the bare hi costs at most 2,000 tokens with the starter hub and five tools", async (t) => {
  const system = systemTools({ listEvents: async () => [], runTrigger: async () => assert.fail() });
  const opened = await testAgent(t, ["Hi!"], { tools: (hub) => [...hubTools(hub), ...system] });
  await opened.ask("hi");
  const { body } = opened.server.requests[0]!;
  assert.ok(opened.bodies()[0].tools.length >= 5);
  const tokens = Math.ceil(Buffer.byteLength(body) / 4);
  t.diagnostic(`${tokens} tokens with ${opened.bodies()[0].tools.length} tools`);
  assert.ok(tokens <= 2000, `${tokens} tokens`);
});

test("the prompt begins with the same bytes on another day, and ends with the day in the owner's zone", async (t) => {
  let now = new Date("2026-11-22T23:30:00Z");
  const clock: Clock = { ...systemClock, now: () => now };
  const house = await testAgent(t, ["one", "two"], { clock });
  await house.ask("hi");
  now = new Date("2026-12-24T08:00:00Z");
  house.kept.clear();
  await house.ask("hi");
  const [one, two] = house.bodies();
  assert.deepEqual(one.system, two.system);
  assert.match(JSON.stringify(one.messages), /hi\\n\\n\(Today is Monday 2026-11-23, Europe\/Amsterdam\.\)/);
  assert.match(JSON.stringify(two.messages), /Thursday 2026-12-24/);
});

test("an agent gets the tools it names, skill_read only where there are skills, and an unknown agent is an error", async (t) => {
  const opened = await testAgent(t, ["ok", "ok"], {
    agent: { tools: ["hub_read", "skill_read"] },
    tools: hubTools,
  });
  await opened.ask("hi");
  const skills = (await opened.hub.skills()).length > 0;
  assert.deepEqual(
    opened.bodies()[0].tools.map((tool: { name: string }) => tool.name),
    skills ? ["hub_read", "skill_read"] : ["hub_read"],
  );
  await assert.rejects(opened.ask({ agent: "nobody", prompt: "hi" }) as Promise<unknown>, {
    code: "agent.missing",
    message: 'There is no agent "nobody".',
  });
});
