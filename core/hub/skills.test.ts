import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder, testHub } from "../test/hub.ts";
import { parseSkill } from "./skills.ts";

const skill = (name: string, description: string, body = "Do it.") =>
  `---\nname: ${name}\ndescription: ${description}\n---\n\n${body}\n`;

test("skills of the hub and of capabilities are listed; the hub's own wins a name", async (t) => {
  const folder = join(temporaryFolder(t), "skills");
  for (const name of ["triage", "weekly-review"]) {
    mkdirSync(join(folder, name, "references"), { recursive: true });
    writeFileSync(join(folder, name, "SKILL.md"), skill(name, "A capability's"));
  }
  writeFileSync(join(folder, "triage/references/rules.md"), "Rule one\nRule two\n");
  const { hub, root } = await testHub(t, { skillFolders: [folder, join(folder, "missing")] });
  const skills = await hub.skills();
  assert.deepEqual(
    skills.map(({ name }) => name),
    ["capture-idea", "weekly-review", "triage"],
  );
  assert.equal(skills[1]!.path, "skills/weekly-review/SKILL.md");
  assert.doesNotMatch(skills[1]!.description, /capability/);
  const text = await hub.readSkill("triage");
  assert.match(
    text,
    /^<skill_content name="triage"[\s\S]*Do it\.[\s\S]*- skills\/triage\/references\/rules\.md\n<\/skill_content>$/,
  );
  assert.equal((await hub.read("skills/triage/references/rules.md:2")).text, "Rule two");
  await assert.rejects(hub.read("skills/triage/../../x"), { code: "hub.path" });
  await assert.rejects(hub.readSkill("nothing"), { code: "skill.unknown", next: /capture-idea/ });
  writeFileSync(join(root, "skills/weekly-review/SKILL.md"), skill("weekly-review", "Mine now, and longer"));
  assert.equal((await hub.skills())[1]!.description, "Mine now, and longer");
});

test("front matter is read with patience: warned of and loaded, left out only when nothing can be made of it", (t) => {
  const cases: [string, string, string | null, RegExp | null][] = [
    ["fine", skill("fine", "What and when"), "What and when", null],
    [
      "colon",
      skill("colon", "Use this: when asked, e.g. now: at once"),
      "Use this: when asked, e.g. now: at once",
      null,
    ],
    ["crlf", skill("crlf", "Windows").replaceAll("\n", "\r\n"), "Windows", null],
    ["bom", `\uFEFF${skill("bom", "Marked")}`, "Marked", null],
    ["block", "---\nname: block\ndescription: >\n  two\n  lines\nmetadata:\n  a: b\n---\nx", "two lines", null],
    ["other", skill("another", "Its name is not the folder's"), "Its name is not the folder's", /not the folder's/],
    ["upper", skill("Upper Case", "Bad name"), "Bad name", /small letters/],
    ["noname", "---\ndescription: Only this\n---\nx", "Only this", null],
    ["long", skill("long", "x".repeat(1100)), "x".repeat(1100), /1100 characters/],
    ["empty", skill("empty", ""), null, /no description/],
    ["none", "# No front matter", null, /no front matter/],
    ["broken", "---\nname: [a\ndescription: {{\n---\nx", null, /left out/],
    ["list", "---\n- a\n- b\n---\nx", null, /left out/],
  ];
  for (const [folder, text, description, warning] of cases) {
    const { skill: loaded, warnings } = parseSkill(text, folder);
    assert.equal(loaded?.description ?? null, description, folder);
    if (warning) assert.match(warnings.join(), warning, folder);
    else assert.deepEqual(warnings, [], folder);
  }
  t.diagnostic(`${cases.length} forms`);
});

test("the starter's skills keep to the specification to the letter", () => {
  for (const name of ["capture-idea", "weekly-review"]) {
    const text = readFileSync(join(import.meta.dirname, "starter/skills", name, "SKILL.md"), "utf8");
    const { skill: loaded, warnings } = parseSkill(text, name);
    assert.equal(loaded?.name, name);
    assert.deepEqual(warnings, []);
    assert.match(text, /^---\nname: .+\ndescription: .+\n---\n\n# /);
    assert.ok(text.length / 4 < 5000);
  }
});
