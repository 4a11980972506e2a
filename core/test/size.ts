/** `node core/test/size.ts`: how large `core/` is, without the console's pages and the tests. Size is a promise. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../base/environment.ts";

/** The budget, in lines of code: neither blank nor comment. Why it is this: docs/decisions/008-size.md. */
export const MOST_LINES = 18_500;

const README = join(ROOT, "README.md");
const BADGE = /<!-- size -->.*<!-- \/size -->/;

export interface Size {
  readonly lines: number;
  /** Bytes by four. */
  readonly tokens: number;
}

/** Lines and tokens of every TypeScript and SQL file that counts. */
export function measureCore(root: string = ROOT): Size {
  const files = globSync("core/**/*.{ts,tsx,sql}", { cwd: root }).filter(
    (path) => !/^core\/(console\/web|test)\/|\.test\.ts$/.test(path),
  );
  const texts = files.map((path) => readFileSync(join(root, path)));
  return {
    lines: texts.reduce((sum, text) => sum + countCode(text.toString("utf8")), 0),
    tokens: Math.round(texts.reduce((sum, text) => sum + text.length, 0) / 4),
  };
}

/** Lines that hold code. Docstrings are asked for and cost nothing here. */
function countCode(text: string): number {
  return text.split("\n").filter((line) => !/^\s*(\/\/|--|\/?\*|$)/.test(line)).length;
}

export function describeSize({ lines, tokens }: Size): string {
  return `core/ has ${lines} lines of code of ${MOST_LINES}, ${tokens} tokens`;
}

/** The line of README.md; rounded up, so that it is true for more than one commit. */
export function sizeLine({ lines, tokens }: Size): string {
  const upTo = (value: number, step: number) => (Math.ceil(value / step) * step).toLocaleString("en");
  return `<!-- size -->\`core/\` is under ${upTo(lines, 500)} lines of code, about ${upTo(tokens, 10_000)} tokens: you can read all of it.<!-- /size -->`;
}

/** What README.md says now; null when it says nothing. */
export function sizeInReadme(): string | null {
  return BADGE.exec(readFileSync(README, "utf8"))?.[0] ?? null;
}

if (import.meta.main) {
  const size = measureCore();
  console.log(describeSize(size));
  if (process.argv.includes("--write"))
    writeFileSync(README, readFileSync(README, "utf8").replace(BADGE, sizeLine(size)));
  if (size.lines > MOST_LINES) {
    console.error("core/ is past its budget: make something simpler, or move it into a capability.");
    process.exitCode = 1;
  }
}
