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

test("an agent that asks for a tool or a model role that is not there is told of", async (t) => {
  const capabilities = temporary(t);
  mkdirSync(join(capabilities, "notion/agents"), { recursive: true });
  writeFileSync(join(capabilities, "notion/index.ts"), NOTION);
  const agents = { reader: "tools: [hub_read]", lost: "tools: [hub_read, hub_reed]\nmodel: huge", all: 'tools: "*"' };
  for (const [name, lines] of Object.entries(agents)) {
    const text = `---\ndescription: Reads.\n${lines}\n---\n\nRead.\n`;
    writeFileSync(join(capabilities, `notion/agents/${name}.md`), text);
  }
  const { house } = await testHouse(t, { capabilities });
  const checks = (await examine(house)).filter(({ name }) => name.startsWith("agent "));
  assert.deepEqual(checks, [
    {
      name: "agent lost",
      state: "warning",
      message: "It asks for the model role huge and the tool hub_reed: nothing has that name.",
      next: "Look into agents/lost.md of notion.",
    },
  ]);
});
