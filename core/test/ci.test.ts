import assert from "node:assert/strict";
import { accessSync, constants, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../base/environment.ts";

const workflows = globSync(".github/workflows/*.{yml,yaml}", { cwd: ROOT });
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

test("every action of CI is pinned to a whole commit, with its version beside it", () => {
  const used = workflows.flatMap((path) => [...read(path).matchAll(/^.*\buses:.*$/gm)].map(([line]) => line.trim()));
  assert.ok(used.length > 0);
  const loose = used.filter((line) => !/uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line));
  assert.deepEqual(loose, []);
});

test("CI may read the code and nothing else", () => {
  for (const path of workflows) {
    assert.match(read(path), /^permissions:\n {2}contents: read\n/m, path);
    assert.doesNotMatch(read(path), /: write\b|pull_request_target/, path);
  }
});

test("what git and CI start can be started", () => {
  for (const path of [".ci/run", ".githooks/pre-commit"]) accessSync(join(ROOT, path), constants.X_OK);
});

test("no dependency but Node itself needs an install script", () => {
  const { allowScripts } = JSON.parse(read("package.json")) as { allowScripts: Record<string, boolean> };
  const lock = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { hasInstallScript?: boolean; optional?: boolean }>;
  };
  const wanting = Object.entries(lock.packages)
    .filter(([path, { hasInstallScript }]) => path && hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ""));
  for (const name of wanting) assert.ok(name in allowScripts, `${name} wants an install script: say yes or no to it`);
  assert.deepEqual(
    Object.keys(allowScripts).filter((name) => allowScripts[name]),
    ["node"],
  );
});
