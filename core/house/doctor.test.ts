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
  assert.equal(await nextOf(() => undefined), "Write NOTION_WEBHOOK_SECRET=… into home/.env and restart.");
  assert.equal(await nextOf(() => "secret_x"), "Write NOTION_WEBHOOK_SECRET=secret_x into home/.env and restart.");
});
