import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import type { Installed } from "../../registry/registry.ts";
import { testConsole } from "../../test/console.ts";

const shop: Omit<Installed, "skillFolder"> = {
  capability: {
    name: "shop",
    description: "The shop",
    webhooks: [
      {
        source: "shop",
        verify: { scheme: "equality", header: "x-key", secret: "SHOP_SECRET" },
        type: [{ header: "x-type" }],
      },
    ],
    triggers: [{ name: "sold", on: { source: "shop", type: "sold" }, run: async () => {} }],
    schedules: [{ name: "daily", cron: "0 9 * * *", run: async () => {} }],
    tools: [
      {
        name: "shop_list",
        description: "Lists",
        input: z.object({}) as never,
        effect: "read",
        run: async () => {},
      },
    ],
    secrets: [
      { name: "SHOP_SECRET", description: "Signs" },
      { name: "SHOP_KEY", description: "Opens", required: false },
    ],
    egress: ["api.shop.example"],
  },
  folder: "/capabilities/shop",
  version: "1",
  agents: [{ name: "seller", description: "Sells", model: "light", tools: [], limits: {}, instructions: "Sell." }],
  samples: [{ source: "shop", type: "sold", file: "/capabilities/shop/samples/sold.json" }],
};
const refused = {
  name: "broken",
  folder: "/capabilities/broken",
  problem: { code: "capability.invalid", message: "It throws.", next: "Mend it." },
};

test("capabilities tell all they can do, refused ones why, and no secret's value", async (t) => {
  const skillFolder = mkdtempSync(join(tmpdir(), "daimon-skills-"));
  t.after(() => rmSync(skillFolder, { recursive: true }));
  mkdirSync(join(skillFolder, "selling"));
  writeFileSync(join(skillFolder, "notes.txt"), "");
  const house = await testConsole(t, {
    capabilities: () => ({ installed: [{ ...shop, skillFolder }], refused: [refused] }),
    hasSecret: (name) => name === "SHOP_SECRET",
  });
  const { items } = await house.json<{ items: unknown[] }>("/api/capabilities");
  assert.deepEqual(items, [
    {
      name: "shop",
      description: "The shop",
      webhooks: [
        { source: "shop", url: "http://127.0.0.1:4242/hooks/shop", ready: true, lastEventAt: null, expectEvery: null },
      ],
      triggers: [{ name: "sold", on: { source: "shop", type: "sold" } }],
      schedules: ["shop/daily"],
      tools: [{ name: "shop_list", description: "Lists", effect: "read" }],
      agents: ["seller"],
      skills: ["selling"],
      secrets: [
        { name: "SHOP_SECRET", description: "Signs", required: true, set: true },
        { name: "SHOP_KEY", description: "Opens", required: false, set: false },
      ],
      egress: ["api.shop.example"],
      problem: null,
    },
    {
      name: "broken",
      description: "",
      ...{
        webhooks: [],
        triggers: [],
        schedules: [],
        tools: [],
        agents: [],
        skills: [],
        secrets: [],
        egress: [],
      },
      problem: refused.problem,
    },
  ]);
  const status = await house.json<{ problems: unknown[] }>("/api/status");
  assert.deepEqual(status.problems, [refused.problem]);
});

test("samples are listed without where they stand, and sent as asked", async (t) => {
  const asked: unknown[] = [];
  const house = await testConsole(t, {
    capabilities: () => ({ installed: [{ ...shop, skillFolder: null }], refused: [] }),
    actions: {
      sendSamples: async (request) => {
        asked.push(request);
        return [{ status: 202, body: { id: "evt_1" }, key: "k" }];
      },
    },
  });
  assert.deepEqual((await house.json("/api/samples")).items, [{ source: "shop", type: "sold", file: "sold.json" }]);
  const spoilt = { source: "shop", badSignature: true, stale: true };
  const sent = await house.ask("POST", "/api/samples", { body: spoilt });
  assert.deepEqual(await sent.json(), { deliveries: [{ status: 202, body: { id: "evt_1" }, key: "k" }] });
  assert.deepEqual(asked, [spoilt]);
  for (const body of [{}, { source: "shop", times: 0 }, { source: "shop", data: [1] }]) {
    assert.equal((await house.ask("POST", "/api/samples", { body })).status, 400);
  }
});

test("a capability that was removed while Daimon runs is shown still, without its skills", async (t) => {
  const gone = { ...shop, skillFolder: "/capabilities/shop/skills" };
  const house = await testConsole(t, { capabilities: () => ({ installed: [gone], refused: [] }) });
  const [shown] = (await house.json("/api/capabilities")).items as { skills: string[] }[];
  assert.deepEqual(shown?.skills, []);
});

test("agents are listed without their instructions", async (t) => {
  const agent = {
    name: "default",
    description: "Answers",
    model: "light",
    tools: ["*"],
    limits: { turns: 5 },
  };
  const house = await testConsole(t, {
    agents: () => [{ ...agent, instructions: "Be kind." }],
  });
  assert.deepEqual((await house.json("/api/agents")).items, [agent]);
});
