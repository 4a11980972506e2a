import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporary } from "../test/embedded.ts";
import { testHouse } from "../test/house.ts";
import { examine } from "./doctor.ts";

const NOTION = `
import { defineCapability, defineWebhook, schemes } from "daimon";
export default defineCapability({
  name: "notion",
  description: "Reads pages",
  webhooks: [defineWebhook({ source: "notion", ...schemes.notion })],
  secrets: [{ name: "NOTION_WEBHOOK_SECRET", description: "What Notion signs with", required: false }],
});
`;

test("the secret that a sender brought is shown to the owner, with where to write it", async (t) => {
  const capabilities = temporary(t);
  mkdirSync(join(capabilities, "notion"));
  writeFileSync(join(capabilities, "notion/index.ts"), NOTION);
  const { house } = await testHouse(t, { capabilities });
  assert.deepEqual(house.registry.refused, []);
  const nextOf = async (offered: () => string | undefined) =>
    (await examine({ ...house, offered })).find((check) => check.name === "source notion")?.next;
  const file = join(house.environment.home, ".env");
  assert.equal(await nextOf(() => undefined), `Write NOTION_WEBHOOK_SECRET=… into ${file} and restart.`);
  assert.equal(await nextOf(() => "secret_x"), `Write NOTION_WEBHOOK_SECRET=secret_x into ${file} and restart.`);
});

test("an agent's file that cannot be read is told of, and the rest goes on", async (t) => {
  const capabilities = temporary(t);
  mkdirSync(join(capabilities, "notion/agents"), { recursive: true });
  writeFileSync(join(capabilities, "notion/index.ts"), NOTION);
  writeFileSync(join(capabilities, "notion/agents/reader.md"), "---\ndescription: Reads.\ntools: 7\n---\n\nRead.\n");
  const { house } = await testHouse(t, { capabilities });
  const check = (await examine(house)).find(({ name }) => name === "agent reader");
  assert.equal(check?.state, "failed");
  assert.match(check!.message, /reader\.md:3: /);
  assert.ok(house.agentList.some(({ name }) => name === "default"));
});
