import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { openLog } from "../base/log.ts";
import { askGit, temporaryFolder, testHub } from "../test/hub.ts";
import { openHub } from "./hub.ts";

const STARTER = join(import.meta.dirname, "starter");

test("a missing hub is made from the starter: a repository with one commit and nothing left over", async (t) => {
  const { hub, root, home, git } = await testHub(t);
  assert.equal(git("log", "--format=%an: %s").trim(), "Daimon: Start the hub");
  assert.equal(git("branch", "--show-current").trim(), "main");
  assert.equal(git("status", "--porcelain"), "");
  assert.equal(hub.root, root);
  assert.ok(readdirSync(home).every((name) => name === "hub" || name === "cache" || name === "log"));
  assert.match(await hub.soul(), /^# Soul\n\nYou are Daimon/);
});

test("an empty folder gets the starter too; opening twice at once makes one hub", async (t) => {
  const home = temporaryFolder(t);
  mkdirSync(join(home, "hub"));
  await Promise.all([1, 2, 3].map(() => testHub(t, { home })));
  assert.equal(askGit(join(home, "hub"), "rev-list", "--count", "HEAD").trim(), "1");
  assert.deepEqual(
    readdirSync(home).filter((name) => name.includes("new")),
    [],
  );
});

test("a plain folder is taken as it is; a repository is not touched", async (t) => {
  const home = temporaryFolder(t);
  mkdirSync(join(home, "hub/notes"), { recursive: true });
  writeFileSync(join(home, "hub/notes/a.md"), "mine\n");
  writeFileSync(join(home, "hub/.gitignore"), "private/\n");
  const { hub, root, git } = await testHub(t, { home });
  assert.equal(git("ls-files").trim(), ".gitignore\nnotes/a.md");
  assert.equal(await hub.soul(), "");
  assert.equal((await hub.map()).text, "notes/");
  git("checkout", "-qb", "mine");
  git("commit", "-q", "--allow-empty", "-m", "mine");
  git("pack-refs", "--all");
  const before = git("rev-parse", "HEAD");
  const again = await testHub(t, { home });
  assert.equal(git("rev-parse", "HEAD"), before);
  await again.hub.create("notes/b.md", "b", "Add", {});
  assert.equal(git("rev-parse", "mine~1"), before);
  assert.ok(existsSync(join(root, "notes/b.md")));
});

test("a hub inside another repository, with its git variables around, keeps to itself", async (t) => {
  const home = temporaryFolder(t);
  askGit(home, "init", "-q", "-b", "outer");
  const kept = { ...process.env };
  t.after(() => {
    process.env = kept;
  });
  process.env = { ...kept, GIT_DIR: join(home, ".git"), GIT_WORK_TREE: home, GIT_INDEX_FILE: join(home, "x") };
  const { hub } = await testHub(t, { home });
  await hub.create("inbox/a.md", "a", "Add", {});
  process.env = kept;
  assert.equal(askGit(join(home, "hub"), "log", "--format=%s").trim(), "Add\nStart the hub");
  assert.throws(() => askGit(home, "rev-parse", "--verify", "-q", "HEAD"));
});

test("without git, opening says what to install", async (t) => {
  const home = temporaryFolder(t);
  const kept = process.env.PATH;
  t.after(() => {
    process.env.PATH = kept;
  });
  process.env.PATH = home;
  const log = openLog({});
  const opening = openHub({ root: join(home, "hub"), cache: join(home, "cache"), log, clock: systemClock });
  await assert.rejects(opening, { code: "hub.git-missing", next: /Install git/ });
});

test("a warm start asks git nothing and takes milliseconds", async (t) => {
  const { home } = await testHub(t);
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const begun = performance.now();
    await testHub(t, { home });
    times.push(performance.now() - begun);
  }
  t.diagnostic(`${Math.min(...times).toFixed(1)} ms`);
});

test("reading is cut to its budget at a line's end and says which lines it gave", async (t) => {
  const { hub } = await testHub(t);
  const lines = Array.from({ length: 300 }, (_, index) => `Line ${index + 1} of a long note, with ümläute.`);
  await hub.create("inbox/long.md", lines.join("\n"), "Add", {});
  assert.equal((await hub.read("inbox/long.md")).truncated, false);
  const short = await hub.read("inbox/long.md", { budget: 100 });
  assert.ok(short.truncated);
  assert.ok(Buffer.byteLength(short.text) <= 400);
  assert.equal(short.lines, `1-${short.text.split("\n").length}`);
  assert.equal(short.of, 300);
  assert.equal((await hub.read("inbox/long.md:12-13")).text, lines.slice(11, 13).join("\n"));
  assert.equal((await hub.read("inbox/long.md:299-400")).lines, "299-300");
  assert.equal((await hub.read("inbox/long.md:7")).text, lines[6]);
  await hub.create("inbox/one-line.md", "ü".repeat(5000), "Add", {});
  assert.match((await hub.read("inbox/one-line.md", { budget: 101 })).text, /^ü{202}$/);
});

test("reading a folder gives its overview and what is in it; a missing file says where to look", async (t) => {
  const { hub } = await testHub(t);
  await hub.create("projects/boat/plan.md", "Sand, paint, launch", "Add", {});
  const { text } = await hub.read("projects");
  assert.match(text, /^# Projects\n[\s\S]*In this folder:\n- boat\/$/m);
  assert.match((await hub.read("projects/boat")).text, /- plan\.md \(5 tokens\)/);
  await assert.rejects(hub.read("projects/boat/gone.md"), { code: "hub.missing", next: /read "projects\/boat"/ });
  await assert.rejects(hub.read("Projects/boat/plan.md"), { code: "hub.missing", message: /There is "projects"/ });
});

test("each folder of the starter has a one-line abstract of at most 80 characters, and an overview", () => {
  const folders = readdirSync(STARTER, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.parentPath.endsWith("/skills"))
    .map((entry) => join(entry.parentPath, entry.name));
  assert.equal(folders.length, 8);
  for (const folder of folders) {
    const abstract = readFileSync(join(folder, "abstract.md"), "utf8");
    assert.match(abstract, /^[^\n#]{10,80}\n$/, folder);
    assert.match(readFileSync(join(folder, "overview.md"), "utf8"), /^# \w+\n\n\S/, folder);
  }
  assert.equal(readFileSync(join(STARTER, "CLAUDE.md"), "utf8"), "@AGENTS.md\n");
});

test("what every prompt carries of the starter is small: soul, map and skills", async (t) => {
  const { hub } = await testHub(t);
  const soul = Buffer.byteLength(await hub.soul()) / 4;
  const map = (await hub.map()).tokens;
  const skills = (await hub.skills()).map(({ name, description }) => `- ${name}: ${description}`).join("\n");
  t.diagnostic(`soul ${soul}, map ${map}, skills ${skills.length / 4} tokens`);
  assert.ok(soul <= 550, String(soul));
  assert.ok(soul + map + skills.length / 4 <= 850);
  assert.ok(statSync(join(STARTER, "AGENTS.md")).size / 4 <= 500);
});
