/** `npm run check`: all that must hold, step by step, the same at home and in CI. Every step is run, so that all wrongs are seen. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { ROOT } from "../base/environment.ts";
import { describeSize, measureCore } from "./size.ts";

const NODE = process.execPath;
const PROGRAMS = join(ROOT, "node_modules/.bin");

/** A name, and the command that fails when it does not hold. */
const STEPS: readonly [name: string, command: readonly string[]][] = [
  ["format and lint", ["biome", "check", "--error-on-warnings", "."]],
  ["types", ["tsc", "-p", "."]],
  ["nothing unused", ["knip", "--no-progress", "--no-config-hints"]],
  ["floors and size", [NODE, "core/test/all.ts", "core/test/floors"]],
  ["tests", [NODE, "core/test/all.ts"]],
];

/** `--no-tests`: where the tests have a machine of their own. */
const withTests = !process.argv.includes("--no-tests");
const failed: string[] = [];
for (const [name, command] of STEPS) {
  if (name === "tests" && !withTests) continue;
  const began = performance.now();
  const { ok, output } = await run(command);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const told = { tests: output.trimEnd().split("\n").at(-1), "floors and size": describeSize(measureCore()) }[name];
  console.log(`${ok ? "✔" : "✘"} ${name}  ${seconds} s${told ? `  ${told}` : ""}`);
  if (ok) continue;
  failed.push(name);
  console.log(output.replaceAll(/^/gm, "  "));
}
if (failed.length > 0) {
  console.log(`Failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

async function run([program, ...words]: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const child = spawn(program!, words, {
    cwd: ROOT,
    env: { ...process.env, PATH: `${PROGRAMS}${delimiter}${process.env.PATH}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { ok: code === 0, output };
}
