import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { writeNoise, writeTalks } from "../test/corpus.ts";
import { testHub } from "../test/hub.ts";
import { chunkText, titleOf } from "./chunks.ts";
import { searchTerms } from "./terms.ts";

const paths = ({ hits }: { hits: { path: string }[] }) => hits.map(({ path }) => path);

test("a search finds what is written, by word stem, title and path, and says where it stands", async (t) => {
  const { hub } = await testHub(t);
  await hub.create(
    "areas/health/knee.md",
    "# Left knee\n\nSince March it hurts after running.\n\nDr. Weiss: no surgery.",
    "Add",
    {},
  );
  await hub.create("areas/money/taxes.md", "# Taxes 2025\n\nThe adviser wants the receipts by June.", "Add", {});
  const { hits, tokens } = await hub.search("When did my knee begin hurting when I run?");
  assert.equal(hits[0]?.path, "areas/health/knee.md");
  assert.match(hits[0].text, /Since March it hurts/);
  assert.equal(hits[0].lines, "1-5");
  assert.ok(tokens > 0 && tokens <= 1500);
  assert.equal(paths(await hub.search("surgeries"))[0], "areas/health/knee.md");
  assert.equal(paths(await hub.search("money adviser"))[0], "areas/money/taxes.md");
  assert.deepEqual(paths(await hub.search("knee", { under: "areas/money" })), []);
  assert.deepEqual(paths(await hub.search("knee", { under: "areas/health/" })), ["areas/health/knee.md"]);
  assert.deepEqual(paths(await hub.search("knee", { under: "areas/health/knee.md" })), ["areas/health/knee.md"]);
});

test("questions of odd characters are questions, not syntax", async (t) => {
  const { hub } = await testHub(t);
  await hub.create("inbox/a.md", 'He said "NEAR the café" OR c++ (100%)', "Add", {});
  for (const query of [
    '"',
    "NEAR(",
    "a AND OR NOT",
    "café*",
    "c++ ^ : {}",
    "' ; drop table files",
    "",
    "   ",
    "🚀",
    "\0",
  ]) {
    await hub.search(query);
  }
  assert.equal(paths(await hub.search("CAFE"))[0], "inbox/a.md");
  assert.equal(paths(await hub.search("the who what near"))[0], "inbox/a.md");
  assert.ok((await hub.search("x".repeat(20_000))).tokens === 0);
});

test("what is written, edited by hand, moved or removed is found as it is now", async (t) => {
  const { hub, root } = await testHub(t);
  await hub.create("inbox/a.md", "The zeppelin lands", "Add", {});
  assert.deepEqual(paths(await hub.search("zeppelin")), ["inbox/a.md"]);
  await hub.append("inbox/a.md", "The quokka smiles", "Add", {});
  assert.deepEqual(paths(await hub.search("quokka")), ["inbox/a.md"]);
  const soon = async (query: string, expected: string[]) => {
    for (let tries = 0; tries < 100; tries++) {
      if (paths(await hub.search(query)).join() === expected.join()) return;
      await pause(20);
    }
    assert.deepEqual(paths(await hub.search(query)), expected);
  };
  writeFileSync(join(root, "areas/by-hand.md"), "Uncommitted okapi\n");
  await soon("okapi", ["areas/by-hand.md"]);
  writeFileSync(join(root, "areas/by-hand.md"), "Uncommitted tapir\n");
  await soon("tapir", ["areas/by-hand.md"]);
  await soon("okapi", []);
  renameSync(join(root, "areas/by-hand.md"), join(root, "projects/moved.md"));
  await soon("tapir", ["projects/moved.md"]);
  rmSync(join(root, "projects/moved.md"));
  await soon("tapir", []);
});

test("archive/, dot files, abstracts and what is no text are not found", async (t) => {
  const { hub, root } = await testHub(t);
  mkdirSync(join(root, ".obsidian"));
  for (const path of ["archive/old.md", ".obsidian/x.md", "areas/abstract.md", "areas/photo.jpg", "AGENTS.md"]) {
    writeFileSync(join(root, path), "pterodactyl\n");
  }
  assert.deepEqual(paths(await hub.search("pterodactyl")), []);
});

test("the budget holds, neighbours become one hit, and a passage carries its file's title", async (t) => {
  const { hub } = await testHub(t);
  const turns = Array.from(
    { length: 60 },
    (_, index) => `Ann: on day ${index} we spoke of the harbour, the weather and the boat.`,
  );
  await hub.create("areas/talks/2026-03.md", `# Talk of 3 March 2026\n\n${turns.join("\n")}`, "Add", {});
  for (const budget of [60, 200, 500, 2000]) {
    const { hits, tokens } = await hub.search("harbour weather", { budget });
    assert.ok(tokens <= budget, `${tokens} of ${budget}`);
    const shown = hits.map(({ path, lines, text, title }) => `${path}:${lines}\n${title ?? ""}\n${text}\n`).join("");
    assert.ok(Buffer.byteLength(shown) / 4 <= budget + 1);
    const spans = hits.map(({ lines }) => lines.split("-").map(Number)).sort((a, b) => a[0]! - b[0]!);
    for (const [index, [first]] of spans.entries()) assert.ok(index === 0 || first! > spans[index - 1]![1]! + 1);
    assert.ok(`${hits[0]?.title} ${hits[0]?.text}`.includes("Talk of 3 March 2026"));
  }
  const whole = await hub.search("harbour weather", { budget: 2000 });
  assert.equal(whole.hits.length, 1);
  assert.equal(
    (await hub.read(`${whole.hits[0]!.path}:${whole.hits[0]!.lines}`)).text.trim(),
    whole.hits[0]!.text.trim(),
  );
});

test("the index is a cache: removed, damaged or of another version, it is built again", async (t) => {
  const { hub, home } = await testHub(t);
  await hub.create("inbox/a.md", "The zeppelin lands", "Add", {});
  assert.equal((await hub.search("zeppelin")).hits.length, 1);
  await hub.close();
  const file = join(home, "cache/hub.db");
  const damages = [
    () => rmSync(file),
    () => writeFileSync(file, "this is no database at all".repeat(500)),
    () => writeFileSync(file, ""),
    () => {
      const size = statSync(file).size;
      writeFileSync(file, Buffer.alloc(size - 4096, 7), { flag: "r+" });
    },
  ];
  for (const [index, damage] of damages.entries()) {
    damage();
    for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
    const again = await testHub(t, { home });
    assert.equal((await again.hub.search("zeppelin")).hits.length, 1, `damage ${index}`);
    await again.hub.close();
  }
  assert.deepEqual(
    readdirSync(join(home, "cache")).filter((name) => !name.startsWith("hub.db")),
    [],
  );
});

test("two processes' worth of hubs share one index without harm", async (t) => {
  const { hub, root, home } = await testHub(t);
  const other = (await testHub(t, { home })).hub;
  for (let round = 0; round < 30; round++) writeFileSync(join(root, `inbox/n${round}.md`), `number ${round} walrus\n`);
  const found = await Promise.all([hub, other, hub, other].map((one) => one.search("walrus", { budget: 4000 })));
  for (const { hits } of found) assert.equal(hits.length, 30);
  await other.create("inbox/later.md", "A later narwhal", "Add", {});
  assert.deepEqual(paths(await other.search("narwhal")), ["inbox/later.md"]);
  for (let tries = 0; tries < 200 && (await hub.search("narwhal")).hits.length === 0; tries++) await pause(20);
  assert.deepEqual(paths(await hub.search("narwhal")), ["inbox/later.md"]);
});

test("building the index of a large hub does not hold up the process", { timeout: 60_000 }, async (t) => {
  const { hub, root } = await testHub(t);
  const text = "Some words that fill a note with sentences about many different things. ".repeat(50);
  for (let index = 0; index < 1500; index++)
    writeFileSync(join(root, `inbox/n${index}.md`), `# Note ${index}\n\n${text}\n`);
  let longest = 0;
  let last = performance.now();
  const beat = setInterval(() => {
    longest = Math.max(longest, performance.now() - last - 5);
    last = performance.now();
  }, 5);
  const begun = performance.now();
  const { hits } = await hub.search("Note 777");
  clearInterval(beat);
  t.diagnostic(`1,500 files in ${Math.round(performance.now() - begun)} ms, longest pause ${Math.round(longest)} ms`);
  assert.equal(hits[0]?.path, "inbox/n777.md");
  assert.ok(longest < 1000, `${longest} ms`);
});

test("passages are of some 120 tokens, begin at headings, cover the text, and know their lines", () => {
  const prose = Array.from({ length: 40 }, (_, index) => `Sentence ${index} of a paragraph that goes on for a while.`);
  const text = [
    "---",
    "title: On boats",
    "---",
    "",
    "# Boats",
    "",
    ...prose.slice(0, 20),
    "",
    "## Paint",
    "Red.",
    "",
    ...prose.slice(20),
    `One very long line: ${"it does not end, ".repeat(200)}`,
    "The end 🚀",
  ].join("\n");
  const chunks = chunkText(text);
  const lines = text.split("\n");
  let before = 0;
  for (const { first, last, start, end } of chunks) {
    assert.ok(start >= before);
    assert.equal(
      text
        .slice(before, start)
        .replace(/---|title: On boats/g, "")
        .trim(),
      "",
    );
    assert.ok(end - start <= 1000, `${end - start}`);
    assert.ok(
      lines
        .slice(first - 1, last)
        .join("\n")
        .includes(text.slice(start, end).trim()),
    );
    before = end;
  }
  assert.equal(text.slice(before).trim(), "");
  const paint = chunks.find(({ start }) => text.startsWith("## Paint", start));
  assert.equal(paint?.headings, "Boats Paint");
  assert.deepEqual(chunkText(""), []);
  assert.deepEqual(chunkText("\n\n  \n"), []);
  assert.equal(titleOf(text, "a/b.md"), "On boats");
  assert.equal(titleOf("text\n# Heading here\n", "a/b.md"), "Heading here");
  assert.equal(titleOf("text", "a/2026-03-boat_plan.md"), "2026 03 boat plan");
});

test("of a question, the telling words remain", () => {
  assert.deepEqual(searchTerms("When did Caroline go to the LGBTQ support group?"), [
    "caroline",
    "go",
    "lgbtq",
    "support",
    "group",
  ]);
  assert.deepEqual(searchTerms("Who are you?"), ["who", "are", "you"]);
  assert.deepEqual(searchTerms("Ünï-code ＦＵＬＬ width"), ["ünï", "code", "full", "width"]);
});

test("a long talk's evidence is found within 2,000 tokens among ten thousand files", {
  timeout: 180_000,
}, async (t) => {
  const { hub, root } = await testHub(t);
  const { questions, turns } = writeTalks(root);
  const noise = writeNoise(root, 10_000);
  const begun = performance.now();
  await hub.search("hello");
  t.diagnostic(`${noise} files and ${turns} turns indexed in ${Math.round(performance.now() - begun)} ms`);
  const times: number[] = [];
  let found = 0;
  for (const { question, evidence } of questions) {
    const start = performance.now();
    const { hits, tokens } = await hub.search(question, { budget: 2000 });
    times.push(performance.now() - start);
    assert.ok(tokens <= 2000);
    if (hits.some(({ text }) => text.includes(evidence))) found++;
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(1);
  const recall = found / questions.length;
  t.diagnostic(
    `recall ${(recall * 100).toFixed(1)} %, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms of ${times.length} questions`,
  );
  t.diagnostic(`index ${(statSync(join(root, "../cache/hub.db")).size / 1e6).toFixed(0)} MB`);
  assert.ok(recall >= 0.85, String(recall));
});
