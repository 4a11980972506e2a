import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { chmod, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { askGit, temporaryFolder, testHub } from "../test/hub.ts";
import { until } from "../test/system.ts";

const AGENT = { agent: "default", runId: "run_1", eventId: "evt_1" };
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;

test("a create is one commit with its trailers, and leaves the tree clean", async (t) => {
  const { hub, root, git } = await testHub(t);
  const { path, commit } = await hub.create("inbox/idea.md", "An idea", "Keep the idea", {
    ...AGENT,
    step: "a/b#2",
  });
  assert.equal(path, "inbox/idea.md");
  assert.equal(readFileSync(join(root, path), "utf8"), "An idea\n");
  assert.equal(git("rev-parse", "HEAD").trim(), commit);
  assert.equal(
    git("log", "-1", "--format=%an <%ae>%n%B").trim(),
    [
      "Daimon <daimon@localhost>",
      "Keep the idea",
      "",
      "Run: run_1",
      "Agent: default",
      "Event: evt_1",
      "Step: a/b#2",
    ].join("\n"),
  );
  assert.equal(git("show", "--name-only", "--format=").trim(), path);
  assert.equal(git("status", "--porcelain"), "");
  assert.match(git("fsck", "--strict"), /^$/);
});

test("nothing in the reason can forge a trailer or a second line", async (t) => {
  const { hub, git } = await testHub(t);
  await hub.create("inbox/a.md", "a", "Why\n\nStep: forged\r\n\u0000Run: forged", { step: "real\nRun: x" });
  assert.equal(git("log", "-1", "--format=%(trailers:key=Step,valueonly)").trim(), "real Run: x");
  assert.equal(git("log", "-1", "--format=%(trailers:key=Run,valueonly)").trim(), "");
  assert.equal(await hub.written({ step: "forged" }), null);
});

test("appending keeps what is there, ends lines, and creates a missing file with its folders", async (t) => {
  const { hub, root } = await testHub(t);
  writeFileSync(join(root, "inbox/log.md"), "first, without an end");
  await hub.append("inbox/log.md", "second", "Add", AGENT);
  await hub.append("inbox/log.md", "third\n", "Add", AGENT);
  assert.equal(readFileSync(join(root, "inbox/log.md"), "utf8"), "first, without an end\nsecond\nthird\n");
  await hub.append("areas/new/deep/log.md", "one", "Add", AGENT);
  assert.equal(readFileSync(join(root, "areas/new/deep/log.md"), "utf8"), "one\n");
});

test("an executable script stays one", async (t) => {
  const { hub, root, git } = await testHub(t);
  writeFileSync(join(root, "knowledge/run.sh"), "#!/bin/sh\n");
  await chmod(join(root, "knowledge/run.sh"), 0o755);
  git("add", "-A");
  git("commit", "-qm", "mine");
  await hub.append("knowledge/run.sh", "true", "Add", AGENT);
  assert.equal((await stat(join(root, "knowledge/run.sh"))).mode & 0o777, 0o755);
  assert.match(git("ls-tree", "HEAD", "knowledge/run.sh"), /^100755/);
  assert.equal(git("status", "--porcelain"), "");
});

test("creating what is there is refused and changes nothing", async (t) => {
  const { hub, root, git } = await testHub(t);
  await hub.create("inbox/a.md", "one", "First", AGENT);
  const before = git("rev-parse", "HEAD");
  await assert.rejects(hub.create("inbox/a.md", "two", "Second", AGENT), code("hub.exists"));
  assert.equal(readFileSync(join(root, "inbox/a.md"), "utf8"), "one\n");
  assert.equal(git("rev-parse", "HEAD"), before);
});

test("what a step has written is found by its trailers, and by nothing else", async (t) => {
  const { hub } = await testHub(t);
  const step = { ...AGENT, step: "log" };
  const first = await hub.append("inbox/log.md", "once", "Log", step);
  const made = await hub.create("inbox/b.md", "b", "Make", { ...AGENT, step: "make #2" });
  assert.deepEqual(await hub.written(step), first);
  assert.deepEqual(await hub.written({ ...AGENT, step: "make #2" }), made);
  assert.equal(await hub.written({ ...step, runId: "run_2" }), null);
  assert.equal(await hub.written({ ...step, step: "lo" }), null);
  assert.equal(await hub.written(AGENT), null);
});

test("many writes at once all arrive, each its own commit, those of one file in order", async (t) => {
  const { hub, root, git } = await testHub(t);
  const before = Number(git("rev-list", "--count", "HEAD"));
  const asked = Array.from({ length: 120 }, (_, index) =>
    index % 3 === 0
      ? hub.append("inbox/log.md", `line ${index}`, "Log", { runId: `run_${index}` })
      : hub.create(`inbox/n${index}.md`, `note ${index}`, "Note", { runId: `run_${index}` }),
  );
  const refused = assert.rejects(hub.create("inbox/n1.md", "again", "Note", {}), code("hub.exists"));
  const commits = new Set((await Promise.all(asked)).map(({ commit }) => commit));
  await refused;
  assert.equal(commits.size, 120);
  assert.equal(Number(git("rev-list", "--count", "HEAD")), before + 120);
  const lines = readFileSync(join(root, "inbox/log.md"), "utf8").trim().split("\n");
  assert.deepEqual(
    lines,
    Array.from({ length: 40 }, (_, index) => `line ${index * 3}`),
  );
  assert.equal(git("status", "--porcelain"), "");
});

test("the owner's edits of the file become a commit of their own first", async (t) => {
  const { hub, root, git } = await testHub(t);
  await hub.create("areas/plan.md", "goal", "Plan", AGENT);
  writeFileSync(join(root, "areas/plan.md"), "goal, changed by hand\n");
  await hub.append("areas/plan.md", "next step", "Add the next step", AGENT);
  assert.equal(
    git("log", "-2", "--format=%an: %s").trim(),
    "Daimon: Add the next step\nOwner: Hand edits in areas/plan.md",
  );
  assert.match(git("show", "HEAD~1"), /^\+goal, changed by hand$/m);
  assert.doesNotMatch(git("show", "HEAD", "--format="), /^[-+]goal/m);
  assert.equal(git("status", "--porcelain"), "");
});

test("what the owner is editing or has staged elsewhere is not touched", async (t) => {
  const { hub, root, git } = await testHub(t);
  writeFileSync(join(root, "identity/soul.md"), "half a sentence");
  writeFileSync(join(root, "areas/staged.md"), "staged\n");
  git("add", "areas/staged.md");
  writeFileSync(join(root, "areas/staged.md"), "staged, and edited since\n");
  writeFileSync(join(root, "areas/new.md"), "untracked\n");
  await rm(join(root, "knowledge/overview.md"));
  const before = git("status", "--porcelain");
  await hub.create("inbox/a.md", "a", "Add", AGENT);
  await hub.append("inbox/a.md", "b", "Add", AGENT);
  assert.equal(git("status", "--porcelain"), before);
  assert.equal(git("show", ":areas/staged.md"), "staged\n");
  assert.equal(git("log", "-2", "--format=", "--name-only").trim(), "inbox/a.md\ninbox/a.md");
});

test("the owner's git and the hub's writes at the same time lose nothing", async (t) => {
  const { hub, root, git } = await testHub(t);
  const ours = Array.from({ length: 30 }, async (_, index) => {
    await pause(index * 15);
    await hub.append("inbox/log.md", `ours ${index}`, "Log", { runId: `run_${index}` });
  });
  let refused = 0;
  // One git at a time holds the index, and a branch that has moved is not moved back: git says so, and the owner tries again.
  const patiently = async (...words: string[]) => {
    for (;;) {
      try {
        return git(...words);
      } catch (error) {
        assert.match(String(error), /index\.lock|cannot lock ref/);
        refused++;
        await pause(Math.random() * 20);
      }
    }
  };
  const owner = (async () => {
    for (let index = 0; index < 25; index++) {
      writeFileSync(join(root, `areas/mine-${index}.md`), `mine ${index}\n`);
      await patiently("add", "areas");
      await patiently("commit", "-qm", `mine ${index}`);
      await pause(Math.random() * 40);
    }
  })();
  await Promise.all([...ours, owner]);
  t.diagnostic(`the owner tried again ${refused} times`);
  const lines = new Set(git("show", "HEAD:inbox/log.md").trim().split("\n"));
  assert.equal(lines.size, 30);
  assert.equal(git("ls-tree", "--name-only", "HEAD", "areas/").match(/mine-/g)?.length, 25);
  assert.equal(git("log", "--format=%s").match(/^mine /gm)?.length, 25);
  await until("the index follows", () => git("status", "--porcelain") === "");
});

const ANN = "git -c user.name=Ann -c user.email=ann@example.com -c safe.directory=*";

/** Runs `work` with a git that does `theirs` before or after each of its commands that are like `which`. */
async function withGit(home: string, { before = "", after = "", which = "*" }, work: () => Promise<unknown>) {
  const [bin, path] = [join(home, "bin"), process.env.PATH];
  mkdirSync(bin);
  const theirs = (words: string) => `case "$*" in ${which}) ${words || ":"} </dev/null ;; esac`;
  const script = `#!/bin/sh\nPATH='${path}'\n${theirs(before)}\ngit "$@"; code=$?\n${theirs(after)}\nexit $code\n`;
  writeFileSync(join(bin, "git"), script, { mode: 0o755 });
  process.env.PATH = `${bin}:${path}`;
  await work().finally(() => {
    process.env.PATH = path;
  });
}

test("an owner who commits in the moment in which a write is committed does not undo it", async (t) => {
  const { hub, root, home, git } = await testHub(t);
  await hub.create("inbox/log.md", "one", "Log", AGENT);
  writeFileSync(join(root, "areas/mine.md"), "mine\n");
  git("add", "areas");
  await withGit(home, { after: `${ANN} commit -qm mine >/dev/null 2>&1`, which: "*fast-import*" }, () =>
    hub.append("inbox/log.md", "two", "Log", AGENT),
  );
  assert.equal(git("show", "HEAD:inbox/log.md"), "one\ntwo\n");
  git("commit", "-qm", "mine");
  assert.equal(git("show", "HEAD:areas/mine.md"), "mine\n");
  assert.equal(git("status", "--porcelain"), "");
});

test("an owner who puts the files back in the moment of a write does not take its line away", async (t) => {
  const { hub, root, home, git } = await testHub(t);
  await hub.create("inbox/log.md", "one", "Log", AGENT);
  await withGit(home, { before: `${ANN} reset -q --hard 2>/dev/null` }, () =>
    hub.append("inbox/log.md", "two", "Log", AGENT),
  );
  assert.equal(readFileSync(join(root, "inbox/log.md"), "utf8"), "one\ntwo\n");
  assert.equal(git("show", "HEAD:inbox/log.md"), "one\ntwo\n");
  assert.equal(git("status", "--porcelain"), "");
});

test("a file that the owner has made a folder, or a folder a file, is written as it stands now", async (t) => {
  const { hub, root, git } = await testHub(t);
  await hub.create("areas/plan.md", "a", "Add", AGENT);
  await hub.create("areas/notes/x.md", "x", "Add", AGENT);
  await rm(join(root, "areas/plan.md"));
  await rm(join(root, "areas/notes"), { recursive: true });
  await hub.create("areas/plan.md/first.md", "b", "Add", AGENT);
  await hub.create("areas/notes", "c", "Add", AGENT);
  assert.equal(git("show", "HEAD:areas/plan.md/first.md"), "b\n");
  assert.equal(git("status", "--porcelain"), "");
});

test("another git that holds the index keeps no write from being committed; the index follows", async (t) => {
  const { hub, root, git } = await testHub(t);
  writeFileSync(join(root, ".git/index.lock"), "");
  await hub.create("inbox/a.md", "a", "Add", AGENT);
  assert.equal(git("show", "HEAD:inbox/a.md"), "a\n");
  await rm(join(root, ".git/index.lock"));
  await until("the index follows", () => git("status", "--porcelain") === "");
  await hub.create("inbox/b.md", "b", "Add", AGENT);
  assert.equal(git("status", "--porcelain"), "");
});

test("the lock on the index that a crash of ours left is known and taken away", async (t) => {
  const { hub, root, home, git } = await testHub(t);
  await hub.create("inbox/before.md", "a", "Add", AGENT);
  const [holder, lock] = [join(root, ".git/daimon/holder"), join(root, ".git/index.lock")];
  linkSync(holder, lock);
  await hub.create("inbox/a.md", "a", "Add", AGENT);
  assert.equal(git("status", "--porcelain"), "");
  assert.ok(!existsSync(lock));
  linkSync(holder, lock);
  await testHub(t, { home });
  assert.ok(!existsSync(lock));
});

test("in the middle of a rebase a write is refused with a sentence, and goes through afterwards", async (t) => {
  const { hub, git } = await testHub(t);
  git("checkout", "-q", "--detach");
  await assert.rejects(hub.create("inbox/a.md", "a", "Add", AGENT), code("hub.detached"));
  git("checkout", "-q", "main");
  const { commit } =
    (await hub.written({ ...AGENT, step: "x" })) ?? (await hub.append("inbox/b.md", "b", "Add", AGENT));
  assert.equal(git("rev-parse", "HEAD").trim(), commit);
  assert.equal(git("status", "--porcelain"), "");
});

test("a file with a merge conflict or outside a sparse checkout is left to the owner, and others are written", async (t) => {
  const { hub, root, git } = await testHub(t);
  await hub.create("inbox/log.md", "one", "Log", AGENT);
  git("checkout", "-qb", "other");
  for (const [branch, text] of [
    ["other", "theirs"],
    ["main", "mine"],
  ] as const) {
    git("checkout", "-q", branch);
    writeFileSync(join(root, "inbox/log.md"), `${text}\n`);
    git("commit", "-qam", text);
  }
  assert.throws(() => git("merge", "-q", "other"));
  await assert.rejects(hub.append("inbox/log.md", "two", "Log", AGENT), code("hub.unmerged"));
  await hub.create("inbox/a.md", "a", "Add", AGENT);
  assert.equal(git("status", "--porcelain"), "UU inbox/log.md\n");
  git("merge", "--abort");
  git("sparse-checkout", "set", "areas");
  await assert.rejects(hub.append("inbox/log.md", "two", "Log", AGENT), code("hub.unmerged"));
  assert.equal(git("show", "HEAD:inbox/log.md"), "mine\n");
});

test("a hub whose git folder is on another disk is written too", async (t) => {
  const home = temporaryFolder(t);
  const disk = (folder: string) => statSync(folder).dev;
  const others = ["/var/tmp", "/dev/shm"].filter((folder) => existsSync(folder));
  const other = others.find((folder) => disk(folder) !== disk(home)) ?? tmpdir();
  const folder = mkdtempSync(join(other, "daimon-git-"));
  t.after(() => rm(folder, { recursive: true }));
  askGit(home, "init", "-q", "-b", "main", "--separate-git-dir", join(folder, "git"), "hub");
  const { hub, git } = await testHub(t, { home });
  await hub.create("inbox/a.md", "a", "Add", AGENT);
  await hub.append("inbox/a.md", "b", "Add", AGENT);
  assert.equal(git("show", "HEAD:inbox/a.md"), "a\nb\n");
  assert.equal(git("status", "--porcelain"), "");
});

test("hooks, signing and identities of the repository or the machine do not get in the way", async (t) => {
  const { hub, root, git } = await testHub(t);
  git("config", "commit.gpgsign", "true");
  git("config", "user.name", "Somebody");
  mkdirSync(join(root, ".git/hooks"), { recursive: true });
  for (const hook of ["pre-commit", "reference-transaction", "post-commit"]) {
    writeFileSync(join(root, ".git/hooks", hook), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  }
  await hub.create("inbox/[a] & (b) 'ü'.md", "a", "Add", AGENT);
  await hub.append("inbox/[a] & (b) 'ü'.md", "b", "Add", AGENT);
  await rm(join(root, ".git/hooks"), { recursive: true });
  assert.equal(git("log", "-1", "--format=%an"), "Daimon\n");
  assert.equal(git("status", "--porcelain"), "");
});

/** The state that a crash at one point leaves: the intent, and how far it got. */
async function crashedAt(t: TestContext, point: "planned" | "written" | "committed") {
  const { hub, root, home, git } = await testHub(t);
  await hub.create("inbox/log.md", "before", "Log", AGENT);
  const base = git("rev-parse", "HEAD").trim();
  const text = "before\nafter the crash\n";
  const message = "Log more\n\nRun: run_1\nStep: more\n";
  const commit = {
    path: "inbox/log.md",
    mode: "100644",
    text,
    added: "after the crash\n",
    message,
    by: "Daimon",
    time: 1,
  };
  writeFileSync(join(root, ".git/daimon/intent.json"), JSON.stringify({ base, commits: [{ ...commit, change: 0 }] }));
  if (point !== "planned") writeFileSync(join(root, "inbox/log.md"), text);
  if (point === "committed") {
    // As it is after git's part: the commit is there, the index is not.
    git("commit", "-qm", message, "--", "inbox/log.md");
    const made = git("rev-parse", "HEAD").trim();
    git("reset", "-q", "--mixed", base);
    git("update-ref", "HEAD", made);
  }
  return { home, root, git };
}

test("a crash before the file was written: nothing happened, and the step does it", async (t) => {
  const { home, root, git } = await crashedAt(t, "planned");
  const { hub } = await testHub(t, { home });
  assert.equal(await hub.written({ runId: "run_1", step: "more" }), null);
  await hub.append("inbox/log.md", "after the crash", "Log more", { runId: "run_1", step: "more" });
  assert.equal(readFileSync(join(root, "inbox/log.md"), "utf8"), "before\nafter the crash\n");
  assert.equal(git("status", "--porcelain"), "");
});

test("a crash before the file was written, in a log of lines that are all the same, loses none of them", async (t) => {
  const { home, root, git } = await crashedAt(t, "planned");
  writeFileSync(join(root, "inbox/log.md"), "before\nafter the crash\n");
  const intent = join(root, ".git/daimon/intent.json");
  const text = "before\nafter the crash\nafter the crash\n";
  writeFileSync(intent, readFileSync(intent, "utf8").replace(/"text":"[^"]*"/, `"text":${JSON.stringify(text)}`));
  const { hub } = await testHub(t, { home });
  assert.equal(await hub.written({ runId: "run_1", step: "more" }), null);
  await hub.append("inbox/log.md", "after the crash", "Log more", { runId: "run_1", step: "more" });
  assert.equal(readFileSync(join(root, "inbox/log.md"), "utf8"), text);
  assert.equal(git("show", "HEAD:inbox/log.md"), text);
});

test("a crash between file and commit: opening finishes the commit, with the step's trailers", async (t) => {
  const { home, git } = await crashedAt(t, "written");
  const { hub } = await testHub(t, { home });
  const found = await hub.written({ runId: "run_1", step: "more" });
  assert.equal(found?.path, "inbox/log.md");
  assert.equal(found?.commit, git("rev-parse", "HEAD").trim());
  assert.equal(git("status", "--porcelain"), "");
});

test("a full disk between file and commit: the write is finished when there is space, and not done twice", async (t) => {
  const { hub, root, home, git } = await testHub(t);
  const step = { runId: "run_1", step: "more" };
  const full = { before: "echo No space left on device >&2; exit 128", which: "*fast-import*" };
  await withGit(home, full, async () => {
    await assert.rejects(hub.append("inbox/log.md", "one", "Log", step), code("hub.git"));
    await assert.rejects(hub.append("inbox/log.md", "two", "Log", AGENT), code("hub.git"));
  });
  assert.equal((await hub.written(step))?.path, "inbox/log.md");
  assert.equal(readFileSync(join(root, "inbox/log.md"), "utf8"), "one\n");
  assert.equal(git("log", "--format=%an", "--", "inbox/log.md"), "Daimon\n");
});

test("a crash between file and commit, and a rebase since: the hub opens, and finishes it afterwards", async (t) => {
  const { home, git } = await crashedAt(t, "written");
  git("checkout", "-q", "--detach");
  const { hub } = await testHub(t, { home });
  await assert.rejects(hub.create("inbox/a.md", "a", "Add", AGENT), code("hub.detached"));
  git("checkout", "-q", "main");
  assert.equal((await hub.written({ runId: "run_1", step: "more" }))?.path, "inbox/log.md");
});

test("a crash between file and commit, and the owner went on writing: each gets what is theirs", async (t) => {
  const { home, root, git } = await crashedAt(t, "written");
  writeFileSync(join(root, "inbox/log.md"), "before\nafter the crash\nby hand\n");
  const { hub } = await testHub(t, { home });
  assert.doesNotMatch(git("show", "HEAD"), /by hand/);
  assert.equal(git("status", "--porcelain").trim(), "M inbox/log.md");
  await hub.append("inbox/log.md", "more", "Log", AGENT);
  assert.match(git("log", "-1", "--skip=1", "-p", "--format=%an"), /^Owner\n[\s\S]*^\+by hand$/m);
});

test("a crash between commit and index: no second commit, and the index is mended", async (t) => {
  const { home, git } = await crashedAt(t, "committed");
  assert.notEqual(git("status", "--porcelain"), "");
  const before = git("rev-parse", "HEAD");
  const { hub } = await testHub(t, { home });
  assert.equal((await hub.written({ runId: "run_1", step: "more" }))?.commit, before.trim());
  assert.equal(git("rev-parse", "HEAD"), before);
  assert.equal(git("status", "--porcelain"), "");
});

/** How many times the writer is killed; more with DAIMON_TEST_KILLS. */
const ROUNDS = Number(process.env.DAIMON_TEST_KILLS ?? 8);

/** A process of its own that appends numbered lines, each a step, and says each line that is kept. */
const WRITER = `
  import { openHub } from ${JSON.stringify(new URL("./hub.ts", import.meta.url).href)};
  import { systemClock as clock } from ${JSON.stringify(new URL("../base/clock.ts", import.meta.url).href)};
  const [root, cache, name, count] = process.argv.slice(1);
  const log = { info() {}, warn() {}, error() {}, with: () => log };
  const hub = await openHub({ root, cache, log, clock });
  for (let line = 0; line < Number(count); line++) {
    const author = { runId: name, step: "line " + line };
    if (await hub.written(author)) continue;
    await hub.append("inbox/log.md", name + " line " + line + ".", "Log", author);
    await hub.create("inbox/" + name + "-" + line + ".md", "a", "Note", { runId: name, step: "note " + line })
      .catch((error) => { if (error.code !== "hub.exists") throw error; });
    process.stdout.write(line + "\\n");
  }
  await hub.close();`;

function startWriter(home: string, name: string, count: number) {
  const words = ["--input-type=module", "-e", WRITER, join(home, "hub"), join(home, "cache"), name, String(count)];
  const env = { PATH: process.env.PATH, HOME: home };
  const child = spawn(process.execPath, words, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let said = "";
  let complaint = "";
  child.stdout.on("data", (piece) => {
    said += piece;
  });
  child.stderr.on("data", (piece) => {
    complaint += piece;
  });
  const ended = new Promise<number | null>((done) => child.on("close", done));
  return { child, ended, said: () => said, complaint: () => complaint };
}

/** Every line once in the file, once in the history, and nothing left over. */
function checkLog(root: string, names: readonly string[], count: number): void {
  const lines = readFileSync(join(root, "inbox/log.md"), "utf8").trim().split("\n").sort();
  const expected = names.flatMap((name) => Array.from({ length: count }, (_, line) => `${name} line ${line}.`));
  assert.deepEqual(lines, expected.sort());
  const format = "--format=%(trailers:key=Run,valueonly,separator=)/%(trailers:key=Step,valueonly,separator=)";
  const steps = askGit(root, "log", format)
    .split("\n")
    .filter((step) => step.includes("/line "));
  assert.equal(new Set(steps).size, names.length * count);
  assert.equal(steps.length, names.length * count);
  assert.equal(askGit(root, "status", "--porcelain"), "");
  assert.match(askGit(root, "fsck", "--strict"), /^$/);
  assert.deepEqual(
    readdirSync(join(root, ".git/daimon")).filter((name) => name.startsWith("intent")),
    [],
  );
}

test("two processes that append to one file lose nothing and repeat nothing", {
  timeout: 60_000,
}, async (t) => {
  const { root, home } = await testHub(t);
  const writers = ["one", "two"].map((name) => startWriter(home, name, 15));
  for (const writer of writers) assert.equal(await writer.ended, 0, writer.complaint());
  checkLog(root, ["one", "two"], 15);
});

test("kill -9 in the middle of writing, again and again, loses no acknowledged line and repeats none", {
  timeout: 120_000,
}, async (t) => {
  const { root, home } = await testHub(t);
  const acknowledged = new Set<string>();
  let kills = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const writer = startWriter(home, "w", 30);
    const killer = (async () => {
      while (writer.said() === "" && writer.child.exitCode === null && writer.complaint() === "") await pause(2);
      await pause(Math.random() * 60);
      // Half the time git is killed with it, half the time git outlives the process that started it.
      if (writer.child.exitCode === null) process.kill(round % 2 ? -writer.child.pid! : writer.child.pid!, "SIGKILL");
    })();
    const [ending] = await Promise.all([writer.ended, killer]);
    for (const line of writer.said().split("\n").filter(Boolean)) acknowledged.add(line);
    if (ending === 0) break;
    assert.equal(writer.complaint(), "");
    kills++;
  }
  t.diagnostic(`${kills} kills, ${acknowledged.size} lines acknowledged`);
  const last = startWriter(home, "w", 30);
  assert.equal(await last.ended, 0, last.complaint());
  checkLog(root, ["w"], 30);
});
