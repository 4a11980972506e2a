import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { pause as pauseSource } from "../store/held.ts";
import { findConversation, lastMessages, openConversation } from "../store/messages.ts";
import { findIssueDetail, listIssues } from "../store/views/issues.ts";
import { temporary } from "../test/embedded.ts";
import { testHouse } from "../test/house.ts";
import { examine } from "./doctor.ts";
import { createWatched } from "./watched.ts";

const SHOP = `
import { defineCapability, defineSchedule, defineTrigger, defineWebhook, schemes } from "daimon";
const webhook = (source, secret, expectEvery) =>
  defineWebhook({ source, ...schemes.generic, verify: { ...schemes.generic.verify, secret }, expectEvery });
const find = (email) => { throw new Error("No plan for " + email); };
const plan = defineTrigger({
  name: "plan",
  on: { source: "shop" },
  retry: { attempts: 1, delays: [] },
  run: async ({ event, step }) => step.run("find", () => find(event.data.email)),
});
export default defineCapability({
  name: "shop",
  description: "Plans orders",
  webhooks: [webhook("shop", "SHOP_SECRET", "2h"), webhook("quiet", "QUIET_SECRET"), webhook("new", "NEW_SECRET", "1d")],
  triggers: [plan],
  schedules: [
    defineSchedule({ name: "daily", cron: "0 9 * * *", expectEvery: "26h", run: async () => {} }),
    defineSchedule({ name: "other", cron: "0 9 * * *", run: async () => {} }),
  ],
  secrets: [
    { name: "SHOP_SECRET", description: "x", generate: true },
    { name: "QUIET_SECRET", description: "x", generate: true },
    { name: "NEW_SECRET", description: "x", required: false },
  ],
});
`;

async function testShop(t: TestContext) {
  const capabilities = temporary(t);
  mkdirSync(join(capabilities, "shop"));
  writeFileSync(join(capabilities, "shop/index.ts"), SHOP);
  const { house, send } = await testHouse(t, { capabilities });
  assert.deepEqual(house.registry.refused, []);
  return { house, send };
}

test("what is watched is what is installed; the owner's word goes before the capability's", async (t) => {
  const { house } = await testShop(t);
  const watched = (sources: Record<string, { expectEvery: string }>) =>
    createWatched({ ...house, config: { ...house.config, sources } });
  const HOUR = 3_600_000;
  assert.deepEqual(await watched({ quiet: { expectEvery: "30m" }, shop: { expectEvery: "6h" } })(), [
    { about: "shop", every: 6 * HOUR, ready: true },
    { about: "quiet", every: HOUR / 2, ready: true },
    { about: "new", every: 24 * HOUR, ready: false },
    { about: "schedule:shop/daily", every: 26 * HOUR, ready: true, failing: false },
  ]);
  await house.schedules.pause("shop/daily", true);
  assert.equal((await watched({})()).at(-1)!.ready, false);
  await house.database.query("update schedules set failures = 1 where name = 'shop/daily'");
  assert.equal((await watched({})()).at(-1)!.failing, true);
  await pauseSource(house.database, "source:shop");
  assert.equal((await watched({})())[0]!.ready, false);
  assert.throws(() => watched({ shop: { expectEvery: "often" } }), { code: "duration.invalid" });
});

test("a trigger that fails is an issue with its place in the code, and the owner reads of it once", async (t) => {
  const { house, send } = await testShop(t);
  for (const email of ["jane@example.com", "bob@example.org"])
    await send({ source: "shop", type: "order", data: { email } });
  await house.watch.look();
  await house.watch.look();
  const { items } = await listIssues(house.database, { limit: 5 });
  const [issue] = items;
  assert.deepEqual([items.length, issue!.title, issue!.count], [1, "No plan for …", 2]);
  const { runs } = (await findIssueDetail(house.database, issue!.id)) as unknown as {
    runs: { error: { at: string[] } }[];
  };
  assert.match(runs[0]!.error.at[0]!, /^find \(shop\/index\.ts:\d+:\d+\)$/);
  const { id } = await openConversation(house.database, { channel: "web", external: "owner" });
  const read = async () =>
    (await lastMessages(house.database, id, 10)).map(({ author, text, state }) => [author, text, state]);
  for (const until = Date.now() + 10_000; (await read()).length === 0 && Date.now() < until; ) await pause(20);
  const text = `Issue: No plan for … (trigger:shop/plan; daimon issues show ${issue!.id})`;
  assert.deepEqual(await read(), [["daimon", text, "delivered"]]);
  assert.equal((await findConversation(house.database, id))!.title, "Daimon");
});

test("doctor tells when each source was last heard from, and of open issues", async (t) => {
  const { house, send } = await testShop(t);
  await send({ source: "shop", type: "order", data: { email: "jane@example.com" } });
  const config = { ...house.config, sources: { shopp: { expectEvery: "1h" } } };
  const checks = new Map((await examine({ ...house, config })).map((check) => [check.name, check]));
  assert.equal(checks.get("source shopp")!.state, "warning");
  assert.match(
    checks.get("source shop")!.message,
    /^Its secret is set\. Its last event came \d+ seconds? ago; expected every 2h\.$/,
  );
  assert.equal(checks.get("source quiet")!.message, "Its secret is set. No event yet.");
  assert.equal(checks.get("source new")!.state, "failed");
  assert.deepEqual(checks.get("issues"), {
    name: "issues",
    state: "warning",
    message: "An issue is open: No plan for …",
    next: "daimon issues list --status open",
  });
});
