import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../base/environment.ts";

/** A stand-in for core/main.ts that says who runs it and how it is told to end. */
const MAIN = `
  const words: string[] = process.argv.slice(2);
  if (words[0] === "read") for await (const chunk of process.stdin) process.stdout.write(chunk);
  if (words[0] === "missing") await import("no-such-package" as string);
  if (words[0] === "wait") {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => { console.log(signal); process.exit(signal === "SIGINT" ? 130 : 7); });
    setInterval(() => {}, 1000);
  }
  if (words[0] === "die") process.kill(process.pid, "SIGKILL");
  console.log(JSON.stringify({ pid: process.pid, version: process.version, words }));
  if (words[0] === "fail") process.exitCode = 5;
`;

/** A Node below 24, as many machines have it on their PATH. */
function olderNode(): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
  for (const folder of [...folders, "/usr/bin", "/usr/local/bin"]) {
    const node = join(folder, "node");
    if (!existsSync(node)) continue;
    const major = Number.parseInt(spawnSync(node, ["-p", "process.versions.node"]).stdout.toString(), 10);
    if (major >= 18 && major < 24) return node;
  }
  return null;
}

const OLDER = olderNode();
const NO_OLDER = OLDER ? false : "there is no Node from 18 to 23 on this machine's PATH";

function project(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), "daimon launcher-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ["bin", "core", "node_modules"]) mkdirSync(join(root, folder));
  copyFileSync(join(ROOT, "bin/daimon.js"), join(root, "bin/daimon.js"));
  copyFileSync(join(ROOT, "package.json"), join(root, "package.json"));
  writeFileSync(join(root, "core/main.ts"), MAIN);
  symlinkSync(join(ROOT, "node_modules/node"), join(root, "node_modules/node"));
  return root;
}

function launch(root: string, node: string, words: string[]): ChildProcess {
  return spawn(node, [join(root, "bin/daimon.js"), ...words], { env: { PATH: "/usr/bin:/bin" } });
}

function run(root: string, node: string, words: string[], input = "") {
  const { status, stdout, stderr } = spawnSync(node, [join(root, "bin/daimon.js"), ...words], {
    input,
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin" },
  });
  return { status, stdout, stderr };
}

for (const [name, node, skip] of [
  ["the bundled Node", process.execPath, false],
  ["an older Node", OLDER ?? "", NO_OLDER],
] as const) {
  test(`on ${name}: words, stdin and the exit code pass through`, { skip }, (t) => {
    const root = project(t);
    const told = run(root, node, ["fail", "two words", ""]);
    assert.equal(told.status, 5);
    assert.equal(told.stderr, "");
    const said = JSON.parse(told.stdout) as { version: string; words: string[] };
    assert.equal(said.version, process.version);
    assert.deepEqual(said.words, ["fail", "two words", ""]);
    assert.match(run(root, node, ["read"], "from stdin\n").stdout, /^from stdin\n/);
    const dead = run(root, node, ["die"]).status;
    assert.ok(dead === 137 || dead === null, String(dead));
  });

  test(`on ${name}: signals reach it, and Ctrl-C is 130`, { skip }, async (t) => {
    const root = project(t);
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 7],
      ["SIGHUP", 7],
    ] as const) {
      const child = launch(root, node, ["wait"]);
      await once(child.stdout!, "data");
      child.kill(signal);
      assert.deepEqual(await once(child, "exit"), [code, null], signal);
    }
  });

  test(`on ${name}: kill -9 of the launcher leaves nothing running`, { skip }, async (t) => {
    const child = launch(project(t), node, ["wait"]);
    const [line] = await once(child.stdout!, "data");
    const { pid } = JSON.parse(String(line)) as { pid: number };
    child.kill("SIGKILL");
    for (const until = Date.now() + 15_000; isAlive(pid) && Date.now() < until; ) await sleep(10);
    assert.equal(isAlive(pid), false);
  });

  test(`on ${name}: packages that are not installed are a sentence`, { skip }, (t) => {
    const root = project(t);
    const one = run(root, node, ["missing"]);
    assert.equal(one.status, 1);
    assert.match(one.stderr, /^Cannot find package 'no-such-package': .* Run `npm ci` first\.\n$/);
    rmSync(join(root, "node_modules"), { recursive: true });
    const all = run(root, node, ["start"]);
    assert.equal(all.status, 1);
    assert.match(all.stderr, /run `npm ci` first/);
  });
}

test("an older Node without the bundled one is told what to do", { skip: NO_OLDER }, (t) => {
  const root = project(t);
  rmSync(join(root, "node_modules/node"));
  const { status, stderr } = run(root, OLDER!, ["start"]);
  assert.equal(status, 1);
  assert.match(stderr, /needs Node 24, and this is v\d+.*run `npm ci` again/);
});

test("npx daimon works in the folder and below it", { skip: NO_OLDER }, (t) => {
  const root = project(t);
  for (const cwd of [root, join(root, "core")]) {
    const { stdout, stderr } = spawnSync("npx", ["--no", "daimon", "hello"], {
      cwd,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: root, npm_config_cache: join(root, "cache") },
    });
    assert.match(stdout, /"words":\["hello"\]/, stderr);
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
