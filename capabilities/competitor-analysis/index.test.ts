import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import type { House } from "../../core/house/house.ts";
import { lastMessages, openConversation } from "../../core/store/messages.ts";
import { testDatabase } from "../../core/test/database.ts";
import { testHouse } from "../../core/test/house.ts";
import { scriptedModel } from "../../core/test/models.ts";
import { testSystem, until } from "../../core/test/system.ts";
import { competitorsIn, LIST, REPORTS } from "./report.ts";

test("the list is what stands above the first section, each name once", () => {
  const list =
    "# C\n\n- **Acme** | https://acme.example | rockets | anvils\n- Bolt\n* Acme | again\ntext\n\n## To look for\n\n- prices\n";
  assert.deepEqual(competitorsIn(list), {
    competitors: [
      { name: "Acme", about: "again" },
      { name: "Bolt", about: "" },
    ],
    left: [],
  });
  assert.deepEqual(competitorsIn(""), { competitors: [], left: [] });
  const many = Array.from({ length: 14 }, (_, place) => `- Number ${place}\n`).join("");
  assert.deepEqual(competitorsIn(many).left, ["Number 12", "Number 13"]);
});

test("the report is written, filed under its date beside one that is there, and told", async (t) => {
  const { house, until } = await testHouse(t);
  const today = new Date().toLocaleDateString("sv-SE", { timeZone: "Europe/Amsterdam" });
  await house.hub.create(`${REPORTS}/${today}.md`, "Mine.\n", "Write one by hand", {});
  const { runIds } = await house.schedules.fire("competitor-analysis/weekly");
  const run = await until(runIds[0]!);
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  const { report, competitors } = run.result as { report: string; competitors: number };
  assert.match(report, /^areas\/competitors\/reports\/\d{4}-\d\d-\d\d-2\.md$/);
  assert.equal(competitors, 2);
  const { text } = await house.hub.read(report);
  assert.match(text, /^# Competitors, \w+day \d+ \w+ \d{4}$/m);
  assert.match(text, /> Demo, no model/);
  assert.match(text, /### Example Studio\n[\s\S]*### Sample Labs\n/);
  const keys = run.steps.map((step) => step.key);
  for (const key of ["read the list", "research Sample Labs/model", "write the report/model", `hub create ${report}`])
    assert.ok(keys.includes(key), `${key} of ${keys}`);
  const { id } = await openConversation(house.database, { channel: "web", external: "owner", title: "" });
  assert.ok(JSON.stringify(await lastMessages(house.database, id, 1)).includes(report));
});

async function lastWords(house: House): Promise<string> {
  const { id } = await openConversation(house.database, { channel: "web", external: "owner", title: "" });
  return (await lastMessages(house.database, id, 1))[0]?.text ?? "";
}

test("without a list, or without a competitor in it, it says so and how to name one", async (t) => {
  const { house, until } = await testHouse(t);
  const fire = async () => {
    const { runIds } = await house.schedules.fire("competitor-analysis/weekly");
    const run = await until(runIds[0]!);
    assert.deepEqual([run.status, run.result], ["completed", { report: null }]);
    return await lastWords(house);
  };
  await rm(join(house.hub.root, LIST));
  assert.match(
    await fire(),
    /^There is no report: areas\/competitors\/overview\.md is not there\. Write a line for each/,
  );
  await mkdir(join(house.hub.root, "areas/competitors"), { recursive: true });
  await writeFile(join(house.hub.root, LIST), "# Competitors\n\n## To look for\n\n- prices\n");
  assert.match(await fire(), /^There is no report: .* names no competitor\./);
});

test("killed with -9 in the middle of its research it goes on where it was: no finished model call again, one report, one message", async (t) => {
  const asked: string[] = [];
  const model = await scriptedModel(t, async ({ messages }) => {
    const question = JSON.stringify(messages.at(-1)).match(/What do we know about (\w+)|Write the weekly/);
    asked.push(question?.[1] ?? "report");
    await new Promise((resolve) => setTimeout(resolve, 400));
    return { text: question?.[1] ? `- ${question[1]} sells more.` : "They all sell more." };
  });
  const { url, database } = await testDatabase(t);
  const system = testSystem(t, { DATABASE_URL: url, ...model.values });
  const files = ["index.ts", "report.ts", "agents/researcher.md", "agents/reporter.md"];
  const texts = files.map(async (file) => [file, await readFile(join(import.meta.dirname, file), "utf8")]);
  system.install("competitor-analysis", Object.fromEntries(await Promise.all(texts)));
  const hub = join(system.home, "hub");
  const first = await system.start();
  await writeFile(join(hub, LIST), "# Competitors\n\n- Acme\n- Bolt\n- Cord\n- Dune\n");
  await system.daimon("schedules", "run", "competitor-analysis/weekly");
  await until("two are known", () => asked.length >= 3);
  await first.kill();
  await system.start();
  const run = await until("the report is written", async () => {
    const [row] = await database.query<{ status: string; result: { report: string }; claim: number }>(
      "select status, result, claim from runs where handler = 'schedule:competitor-analysis/weekly'",
    );
    return row?.status === "completed" && row;
  });
  assert.ok(run.claim >= 2, "it was taken over");
  const report = await readFile(join(hub, run.result.report), "utf8");
  for (const name of ["Acme", "Bolt", "Cord", "Dune"])
    assert.match(report, new RegExp(`### ${name}\n\n- ${name} sells more`));
  const times = Map.groupBy(asked, (name) => name);
  assert.deepEqual([times.get("Acme")?.length, times.get("Bolt")?.length, times.get("report")?.length], [1, 1, 1]);
  const messages = await database.query<{ text: string }>("select text from messages where direction = 'out'");
  assert.equal(messages.length, 1);
  assert.match(messages[0]!.text, /^The competitor report for \w+day \d+ \w+ \d{4} is filed as/);
});
