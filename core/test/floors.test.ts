import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { ROOT } from "../base/environment.ts";
import { MOST_LINES, measureCore, sizeInReadme, sizeLine } from "./size.ts";

/** The house, ground floor last (docs/explanation/architecture.md). Rooms of one line never import each other. */
const FLOORS: Record<string, number> = {
  "main.ts": 8,
  cli: 7,
  house: 7,
  "server.ts": 6,
  "metrics.ts": 6,
  console: 6,
  mcp: 6,
  triggers: 5,
  schedules: 5,
  agents: 5,
  channels: 5,
  runs: 4,
  models: 3,
  registry: 3,
  policy: 2,
  issues: 2,
  jail: 2,
  store: 1,
  hub: 1,
  // `base` may use the words of `define`, and `define` has nothing below it.
  base: 0.5,
  define: 0,
};

/** A longer file is told of, not refused. */
const LONG_FILE = 450;

interface File {
  /** From the root: `core/runs/rules.ts`. */
  readonly path: string;
  readonly text: string;
  /** The same without comments. */
  readonly code: string;
  /** Files of the house that it imports, types included. */
  readonly imports: readonly string[];
}

const files = globSync("core/**/*.{ts,tsx}", { cwd: ROOT })
  .filter((path) => !/^core\/test\/|\.test\.ts$/.test(path))
  .sort()
  .map(readSource);

function readSource(path: string): File {
  const text = readFileSync(join(ROOT, path), "utf8");
  const code = text.replaceAll(/^\s*\/\/.*$|^\s*\/\*[\s\S]*?\*\//gm, "");
  const wanted = code.matchAll(
    /(?:^|[\n;])\s*(?:import|export)\b[^;"'`]*?\bfrom\s+"([^"]+)"|(?:^|\n)import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/g,
  );
  const imports = [...wanted]
    .map(([, from, alone, called]) => (from ?? alone ?? called)!)
    .filter((name) => name.startsWith("."))
    .map((name) => normalize(join(dirname(path), name)));
  return { path, text, code, imports };
}

const roomOf = (path: string) => path.split("/")[1]!;

/** Fails with one line for each wrong. */
function none(wrongs: readonly string[]): void {
  assert.equal(wrongs.join("\n"), "");
}

test("every file of core/ stands in a room of the house", () => {
  const strangers = files.filter((file) => FLOORS[roomOf(file.path)] === undefined);
  none(strangers.map((file) => `${file.path}: give its room a floor in core/test/floors.test.ts`));
});

test("a file imports only from its own room and from lower floors, types included", () => {
  const wrongs = files.flatMap(({ path, imports }) =>
    imports
      .filter((to) => {
        if (!to.startsWith("core/")) return true;
        const [own, other] = [roomOf(path), roomOf(to)];
        return own !== other && FLOORS[own]! <= FLOORS[other]!;
      })
      .map((to) => `${path} imports ${to}`),
  );
  none(wrongs);
});

test("no import goes round in a circle", () => {
  none(findCircles(new Map(files.map((file) => [file.path, file.imports]))));
});

/** Each circle once, as `a -> b -> a`. */
function findCircles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) circles.push([...way.slice(start), path].join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const to of graph.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return circles;
}

test("SQL is written in core/store/ alone; the hub's index of its own files is a cache in SQLite", () => {
  const sql =
    /\b(select\s[^;]{1,400}?\sfrom\s|insert\s+into\s+\w|update\s+\w+\s+(\w+\s+)?set\s|delete\s+from\s+\w|create\s+(unique\s+)?(table|index)\s|listen\s+daimon|\bpg_\w+\()/i;
  const wrongs = files
    .filter(({ path }) => !/^core\/(store|hub)\/|^core\/console\/web\//.test(path))
    .flatMap(({ path, code }) =>
      [...code.matchAll(/`[^`]*`|"(?:[^"\\\n]|\\.)*"/g)]
        .filter(([text]) => sql.test(text))
        .map(([text]) => `${path}: ${text.slice(0, 80).replaceAll(/\s+/g, " ")}`),
    );
  const drivers = files.filter(({ path, code }) => !path.startsWith("core/store/") && /\bfrom "pg"/.test(code));
  none([...wrongs, ...drivers.map(({ path }) => `${path} imports the driver`)]);
});

test("no any: what comes in is unknown, and parsed at the door", () => {
  const loose = /\bas any\b|:\s*any\b|<any\b|\bany\[\]|@ts-(ignore|nocheck|expect-error)/;
  none(
    files.flatMap(({ path, code }) =>
      code
        .split("\n")
        .filter((line) => loose.test(line.replaceAll(/"[^"]*"|`[^`]*`/g, "")))
        .map((line) => `${path}: ${line.trim()}`),
    ),
  );
});

test("the code has the words of docs/glossary.md, and no second word for one of them", () => {
  const second = /\b(job|task|workflow|plugin)s?\b|[a-z](Job|Task|Workflow|Plugin)/;
  // Its `task` is a word of the Markdown library.
  const others = files.filter(({ path }) => path !== "core/console/web/markdown.ts");
  none(
    others.flatMap(({ path, code }) =>
      [...code.replaceAll(/"[^"\n]*"|`[^`]*`|\/\/.*|\/\*[\s\S]*?\*\//g, "").matchAll(new RegExp(second, "g"))].map(
        ([word]) => `${path}: ${word}`,
      ),
    ),
  );
});

test("core/ has no default export and no barrel", () => {
  const wrong = /^export (default\b|\*)/m;
  none(files.filter(({ code }) => wrong.test(code)).map(({ path }) => path));
});

test("nothing of core/ imports a capability, nor anything of the catalog", () => {
  const wrong = /\b(?:from|import)\s*\(?\s*"[./]*(?:capabilities|catalog)\//;
  none(files.filter(({ code }) => wrong.test(code)).map(({ path }) => path));
});

test("files are short enough to be read at once", (t) => {
  for (const { path, text } of files) {
    const lines = text.split("\n").length - 1;
    if (lines > LONG_FILE) t.diagnostic(`${path} has ${lines} lines: does it want another room?`);
  }
});

test("core/ keeps within its budget of lines", () => {
  const { lines } = measureCore();
  assert.ok(lines <= MOST_LINES, `core/ has ${lines} lines; the budget is ${MOST_LINES}`);
});

test("the README tells the size of core/ as it is", () => {
  assert.equal(sizeInReadme(), sizeLine(measureCore()), "Run `node core/test/size.ts --write`");
});
