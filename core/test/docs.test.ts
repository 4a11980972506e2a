import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, normalize } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../base/environment.ts";

/** All that people read. */
const PAGES = ["*.md", "docs/**/*.md", "{capabilities,catalog}/*/*.md"].flatMap((pattern) =>
  globSync(pattern, { cwd: ROOT }).sort(),
);
const COMMAND_MILLISECONDS = 60_000;

interface Block {
  /** `restart`: not run; the server is stopped and started again. */
  readonly kind: "run" | "restart";
  readonly text: string;
  readonly line: number;
}

/** Fenced blocks marked `sh test` and `sh test restart`. */
function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```sh test( restart)?\n([\s\S]*?)^```$/gm)].map((found) => ({
    kind: found[1] ? "restart" : "run",
    text: found[2]!,
    line: text.slice(0, found.index).split("\n").length + 1,
  }));
}

for (const page of PAGES.filter((page) => blocksOf(page).length > 0)) {
  test(`${page}: every command does what the page says`, async (t) => {
    const copy = copyHouse(t);
    let server = await startServer(t, copy);
    for (const { kind, text, line } of blocksOf(page)) {
      if (kind === "restart") {
        await server.stop();
        server = await startServer(t, copy);
        continue;
      }
      const { code, output } = await runBlock(copy, text);
      assert.equal(code, 0, `${page}:${line} ended with ${code}:\n${text}\nIt said:\n${output}\n${server.said()}`);
    }
    await server.stop();
  });
}

interface Copy {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A folder like a fresh clone: an empty home and own capabilities, all else by links; `daimon` and `npx daimon` on PATH. */
function copyHouse(t: TestContext): Copy {
  const folder = mkdtempSync(join(tmpdir(), "daimon-docs-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  const house = join(folder, "daimon");
  const programs = join(folder, "programs");
  const person = join(folder, "person");
  for (const path of [house, programs, person]) mkdirSync(path);
  cpSync(join(ROOT, "capabilities"), join(house, "capabilities"), { recursive: true });
  for (const name of ["bin", "catalog", "core", "docs", "node_modules", "package.json", "daimon.config.ts"])
    symlinkSync(join(ROOT, name), join(house, name));
  write(join(programs, "daimon"), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/bin/daimon.js" "$@"\n`);
  // What npx does here is tested in core/test/launcher.test.ts; without it each command is half a second sooner.
  write(join(programs, "npx"), `#!/bin/sh\n[ "$1" = daimon ] || exit 127\nshift\nexec daimon "$@"\n`);
  const environment = {
    PATH: `${programs}${delimiter}${process.env.PATH}`,
    HOME: person,
    TMPDIR: tmpdir(),
    LANG: "C.UTF-8",
    DAIMON_HOME: join(house, "home"),
    DAIMON_CAPABILITIES: join(house, "capabilities"),
    PORT: "0",
  };
  return { folder: house, environment };
}

function write(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** `npm start` in the copy, until it is ready. */
async function startServer(t: TestContext, copy: Copy): Promise<{ stop(): Promise<void>; said(): string }> {
  const child = spawn(process.execPath, ["bin/daimon.js", "start"], {
    cwd: copy.folder,
    env: copy.environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
  const stop = () => end(child);
  t.after(stop);
  for (const until = Date.now() + 30_000; !/Open http/.test(said); await sleep(20))
    if (child.exitCode !== null || Date.now() > until) assert.fail(`Daimon did not start:\n${said}`);
  return { stop, said: () => said };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await Promise.race([once(child, "exit"), sleep(30_000, undefined, { ref: false })]);
  child.kill("SIGKILL");
}

async function runBlock(copy: Copy, text: string): Promise<{ code: number | null; output: string }> {
  const { url } = JSON.parse(readFileSync(join(copy.folder, "home/server.json"), "utf8")) as { url: string };
  const child = spawn("/bin/bash", ["-eu", "-o", "pipefail", "-c", text], {
    cwd: copy.folder,
    env: { ...copy.environment, PORT: new URL(url).port },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: COMMAND_MILLISECONDS,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += piece));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

test("every link of a page leads to a file, and to a heading where it names one", () => {
  const broken = PAGES.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "");
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^(https?|mailto):/.test(link))
      .filter((link) => !leadsSomewhere(page, link))
      .map((link) => `${page}: ${link}`);
  });
  assert.deepEqual(broken, []);
});

test("every path of core/ that a page names is there", () => {
  const gone = PAGES.flatMap((page) =>
    [...readFileSync(join(ROOT, page), "utf8").matchAll(/`(core\/[\w./-]+)`/g)]
      .map(([, path]) => path!)
      .filter((path) => !existsSync(join(ROOT, path)))
      .map((path) => `${page}: ${path}`),
  );
  assert.deepEqual(gone, []);
});

function leadsSomewhere(page: string, link: string): boolean {
  const [path, heading] = link.split("#") as [string, string?];
  const target = path ? normalize(join(dirname(page), path)) : page;
  if (!existsSync(join(ROOT, target))) return false;
  if (!heading) return true;
  const headings = readFileSync(join(ROOT, target), "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].some(([, title]) => slug(title!) === heading);
}

/** As GitHub names a heading. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, "")
    .replaceAll(" ", "-");
}
