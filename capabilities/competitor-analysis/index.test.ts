import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { lastMessages, openConversation } from "../../core/store/messages.ts";
import { testHouse } from "../../core/test/house.ts";
import { competitorsIn, LIST, REPORTS } from "./report.ts";

test("the list is what stands above the first section, each name once", () => {
  const list =
    "# C\n\n- **Acme** | https://acme.example | rockets | anvils\n- Bolt\n* Acme | again\ntext\n\n## To look for\n\n- prices\n";
  assert.deepEqual(competitorsIn(list), [
    { name: "Acme", about: "again" },
    { name: "Bolt", about: "" },
  ]);
  assert.deepEqual(competitorsIn(""), []);
});

test("the report is written, filed under its date beside one that is there, and told", async (t) => {
  const { house, until } = await testHouse(t);
  const today = new Date().toISOString().slice(0, 10);
  await house.hub.create(`${REPORTS}/${today}.md`, "Mine.\n", "Write one by hand", {});
  const { runIds } = await house.schedules.fire("competitor-analysis/weekly");
  const run = await until(runIds[0]!);
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  const { report, competitors } = run.result as { report: string; competitors: number };
  assert.match(report, /^areas\/competitors\/reports\/\d{4}-\d\d-\d\d-2\.md$/);
  assert.equal(competitors, 2);
  const { text } = await house.hub.read(report);
  assert.match(text, /> Demo, no model/);
  assert.match(text, /### Example Studio\n[\s\S]*### Sample Labs\n/);
  const keys = run.steps.map((step) => step.key);
  for (const key of ["read the list", "research Sample Labs/model", "write the report/model", `hub create ${report}`])
    assert.ok(keys.includes(key), `${key} of ${keys}`);
  const { id } = await openConversation(house.database, { channel: "web", external: "owner", title: "" });
  assert.ok(JSON.stringify(await lastMessages(house.database, id, 1)).includes(report));
});

test("without a competitor in the list it says how to name one", async (t) => {
  const { house, until } = await testHouse(t);
  await rm(join(house.hub.root, LIST));
  await mkdir(join(house.hub.root, "areas/competitors"), { recursive: true });
  await writeFile(join(house.hub.root, LIST), "# Competitors\n");
  const { runIds } = await house.schedules.fire("competitor-analysis/weekly");
  const run = await until(runIds[0]!);
  assert.deepEqual([run.status, run.result], ["completed", { report: null }]);
});
