import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { ROOT } from "../base/environment.ts";
import type { Failure } from "../define/run.ts";
import { loadCapabilities } from "./load.ts";

/** A temporary folder with these files, by path. */
async function folderOf(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "daimon-registry-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** The source of a capability that has these parts beside its name and description. */
const capability = (name: string, parts = "") =>
  `import { defineCapability, z } from "daimon";\nconst run = async () => null;\n` +
  `export default defineCapability({ name: "${name}", description: "For a test.", ${parts} } as never);\n`;

const SAMPLES: Record<string, { files: Record<string, string>; code: string; message: RegExp }> = {
  "throws-on-import": {
    files: { "index.ts": `import "./inner.ts";`, "inner.ts": `\nthrow new Error("no disk");` },
    code: "capability.threw",
    message: /^index\.ts threw when it was imported: Error: no disk \(inner\.ts:2\)\.$/,
  },
  "is-not-typescript": {
    files: { "index.ts": "export default {" },
    code: "capability.threw",
    message: /SyntaxError/,
  },
  "has-an-enum": {
    files: { "index.ts": "enum Color { Red }\nexport default Color;" },
    code: "capability.threw",
    message: /enum is not supported/,
  },
  "never-settles": {
    files: { "index.ts": "await new Promise(() => {});\nexport default {};" },
    code: "capability.slow",
    message: /not imported within 5 seconds/,
  },
  "has-a-default-that-never-comes": {
    files: { "index.ts": "export default new Promise(() => {});" },
    code: "capability.slow",
    message: /not imported within 5 seconds/,
  },
  "has-no-index": { files: { "main.ts": "" }, code: "capability.no-index", message: /has no index\.ts/ },
  "has-no-default": {
    files: { "index.ts": "export const capability = {};" },
    code: "capability.no-default",
    message: /no default export/,
  },
  "is-called-otherwise": {
    files: { "index.ts": capability("someone") },
    code: "capability.name",
    message: /calls itself "someone", but its folder is "is-called-otherwise"/,
  },
  "is-text": {
    files: { "index.ts": `export default "text";` },
    code: "capability.shape",
    message: /^capability: it /,
  },
  "has-no-cron": {
    files: {
      "index.ts": capability(
        "has-no-cron",
        `schedules: [{ name: "weekly", crom: "0 9 * * 2", run }, { name: "daily" }]`,
      ),
    },
    code: "capability.shape",
    message:
      /schedule weekly: "cron" is missing\. .*schedule weekly: it has no field "crom"\. schedule daily: "run" is missing\. schedule daily: "cron" is missing\./,
  },
  "has-a-wrong-scheme": {
    files: {
      "index.ts": capability(
        "has-a-wrong-scheme",
        `webhooks: [{ source: "kit", verify: { scheme: "none" }, type: [] }]`,
      ),
    },
    code: "capability.shape",
    message: /^webhook kit: "verify\.scheme" must be/,
  },
  "has-a-bad-limit": {
    files: {
      "index.ts": capability(
        "has-a-bad-limit",
        `triggers: [{ name: "on", on: { source: "x" }, run, limits: { usd: -1 } }]`,
      ),
    },
    code: "capability.shape",
    message: /^trigger on: "limits\.usd" must be more than 0\.$/,
  },
  "has-a-bad-delay": {
    files: {
      "index.ts": capability(
        "has-a-bad-delay",
        `triggers: [{ name: "on", on: { source: "x" }, run, retry: { attempts: 3, delays: ["5m"] } }]`,
      ),
    },
    code: "capability.shape",
    message: /^trigger on: "retry\.delays\.0" must be milliseconds\.$/,
  },
  "has-a-bad-host": {
    files: { "index.ts": capability("has-a-bad-host", `egress: ["https://example.com/x"]`) },
    code: "capability.shape",
    message: /^egress number 1: it must be a host/,
  },
  "has-a-cron-that-never-fires": {
    files: {
      "index.ts": capability("has-a-cron-that-never-fires", `schedules: [{ name: "weekly", cron: "0 9 31 2 *", run }]`),
    },
    code: "cron.never",
    message: /^schedule weekly: "0 9 31 2 \*" names no time that ever comes\.$/,
  },
  "has-a-cron-that-is-none": {
    files: {
      "index.ts": capability("has-a-cron-that-is-none", `schedules: [{ name: "weekly", cron: "every Tuesday", run }]`),
    },
    code: "cron.invalid",
    message: /^schedule weekly: "every Tuesday" is not a cron expression: invalid [^:]*[^.]\.$/,
  },
  "has-a-wrong-zone": {
    files: {
      "index.ts": capability(
        "has-a-wrong-zone",
        `schedules: [{ name: "w", cron: "0 9 * * 2", zone: "Mars/Base", run }]`,
      ),
    },
    code: "cron.zone",
    message: /^schedule w: "Mars\/Base" is not an IANA time zone\.$/,
  },
  "says-it-twice": {
    files: {
      "index.ts": capability(
        "says-it-twice",
        `schedules: [{ name: "weekly", cron: "0 9 * * 2", run }, { name: "weekly", cron: "0 9 * * 3", run }]`,
      ),
    },
    code: "capability.taken",
    message: /^schedule weekly stands there twice\.$/,
  },
  "hides-its-secret": {
    files: {
      "index.ts": capability(
        "hides-its-secret",
        `webhooks: [{ source: "kit", verify: { scheme: "equality", header: "x", secret: "KIT_SECRET" }, type: [] }]`,
      ),
    },
    code: "capability.secret",
    message: /^webhook kit: its secret KIT_SECRET is not among the declared secrets\.$/,
  },
  "wants-our-database": {
    files: {
      "index.ts": capability("wants-our-database", `secrets: [{ name: "DATABASE_URL", description: "x" }]`),
    },
    code: "capability.secret",
    message: /DATABASE_URL: this name belongs to the system/,
  },
  "wants-a-missing-secret": {
    files: {
      "index.ts": capability(
        "wants-a-missing-secret",
        `secrets: [{ name: "KIT_KEY", description: "The key that Kit shows" }, { name: "OURS", description: "x", generate: true }]`,
      ),
    },
    code: "secret.missing",
    message: /^secret KIT_KEY is missing: The key that Kit shows\.$/,
  },
  "has-an-input-no-model-reads": {
    files: {
      "index.ts": capability(
        "has-an-input-no-model-reads",
        `tools: [{ name: "t", description: "x", input: z.object({ at: z.date() }), effect: "none", run }]`,
      ),
    },
    code: "capability.shape",
    message: /^tool t: its input cannot be told to a model/,
  },
  "has-an-input-that-is-text": {
    files: {
      "index.ts": capability(
        "has-an-input-that-is-text",
        `tools: [{ name: "t", description: "x", input: z.string(), effect: "none", run }]`,
      ),
    },
    code: "capability.shape",
    message: /it is not an object/,
  },
  "has-an-agent-without-front-matter": {
    files: { "index.ts": capability("has-an-agent-without-front-matter"), "agents/poet.md": "Be a poet." },
    code: "capability.agent",
    message: /^agents\/poet\.md:1: it does not begin with a front matter/,
  },
  "has-an-agent-with-bad-yaml": {
    files: {
      "index.ts": capability("has-an-agent-with-bad-yaml"),
      "agents/poet.md": "---\ndescription: [\n---\nBe a poet.",
    },
    code: "capability.agent",
    message: /^agents\/poet\.md:2: Flow sequence/,
  },
  "has-an-agent-that-is-told-nothing": {
    files: {
      "index.ts": capability("has-an-agent-that-is-told-nothing"),
      "agents/poet.md": "---\ndescription: A poet\n---\n",
    },
    code: "capability.agent",
    message: /^agents\/poet\.md:3: there are no instructions/,
  },
  "has-an-agent-with-a-misspelt-field": {
    files: {
      "index.ts": capability("has-an-agent-with-a-misspelt-field"),
      "agents/poet.md": "---\ndescription: A poet\ntool: [hub_read]\n---\nBe a poet.",
    },
    code: "capability.agent",
    message: /^agents\/poet\.md:3: "tool" is not known\.$/,
  },
  "takes-a-tool-of-core": {
    files: {
      "index.ts": capability(
        "takes-a-tool-of-core",
        `tools: [{ name: "hub_read", description: "x", input: z.object({}), effect: "none", run }]`,
      ),
    },
    code: "capability.taken",
    message: /^tool hub_read: Daimon itself has this name\.$/,
  },
  "takes-a-source-of-core": {
    files: {
      "index.ts": capability(
        "takes-a-source-of-core",
        `webhooks: [{ source: "chat", verify: { scheme: "equality", header: "x", secret: "S" }, type: [] }], secrets: [{ name: "S", description: "x", generate: true }]`,
      ),
    },
    code: "capability.taken",
    message: /^webhook chat: Daimon itself has this name\.$/,
  },
};

test("each capability that cannot be let in is refused with a code and a sentence, and the rest is loaded", async (t) => {
  const files = Object.entries(SAMPLES).flatMap(([name, sample]) =>
    Object.entries(sample.files).map(([path, text]) => [`${name}/${path}`, text]),
  );
  const folder = await folderOf(t, { "fine/index.ts": capability("fine"), ...Object.fromEntries(files) });
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.deepEqual(
    installed.map((one) => one.capability.name),
    ["fine"],
  );
  const problems = new Map<string, Failure>(refused.map((one) => [one.name, one.problem]));
  for (const [name, { code, message }] of Object.entries(SAMPLES)) {
    await t.test(name, () => {
      assert.equal(problems.get(name)?.code, code, JSON.stringify(problems.get(name)));
      assert.match(problems.get(name)!.message, message);
    });
  }
  assert.equal(refused.length, Object.keys(SAMPLES).length);
});

test("a folder of capabilities that is not there, or is none, is told of", async (t) => {
  const folder = join(await mkdtemp(join(tmpdir(), "daimon-none-")), "none");
  t.after(() => rm(dirname(folder), { recursive: true }));
  const look = async () => {
    const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
    assert.deepEqual([installed, refused.length], [[], 1]);
    return refused[0]!.problem;
  };
  assert.match(
    (await look()).message,
    /^Nothing is installed, because the folder of capabilities cannot be read: ENOENT/,
  );
  await writeFile(folder, "");
  assert.match((await look()).message, /ENOTDIR/);
});

test("a capability may import daimon, its own folder and its own packages, and nothing else", async (t) => {
  const folder = await folderOf(t, {
    "neighbour/index.ts": capability("neighbour"),
    "own/index.ts":
      `import { defineCapability } from "daimon";\nimport { text } from "./lib/text.ts";\nimport data from "./data.json" with { type: "json" };\n` +
      `import answer from "answer";\nexport default defineCapability({ name: "own", description: text + data.year + answer });`,
    "own/lib/text.ts": `export const text = "since ";`,
    "own/data.json": `{"year": 2026}`,
    "own/package.json": `{"name": "own", "type": "module", "dependencies": {"answer": "1.0.0"}}`,
    "own/node_modules/answer/package.json": `{"name": "answer", "main": "main.js"}`,
    "own/node_modules/answer/main.js": `module.exports = require("node:path").sep;`,
    "builtin/index.ts": `import "node:fs";`,
    "bare-builtin/index.ts": `import "fs";`,
    "inner/index.ts": `import "./lib/deep.ts";`,
    "inner/lib/deep.ts": `import "node:child_process";`,
    "core-by-path/index.ts": `import "${ROOT}/core/base/ids.ts";`,
    "core-by-url/index.ts": `import "file://${ROOT}/core/base/ids.ts";`,
    "another/index.ts": `import "../neighbour/index.ts";`,
    "dynamic/index.ts": `await import("node:" + "os");`,
    "data-url/index.ts": `import "data:text/javascript,export default 1";`,
    "not-there/index.ts": `import "no-such-package";`,
    "no-neighbour/index.ts": `import "../no-such-neighbour/index.ts";`,
    "linked/index.ts": `import "./ids.ts";`,
    "greedy-package/index.ts": `import "greedy";`,
    "greedy-package/node_modules/greedy/package.json": `{"name": "greedy", "type": "module", "main": "main.js"}`,
    "greedy-package/node_modules/greedy/main.js": `import "../../../neighbour/index.ts";`,
  });
  await symlink(join(ROOT, "core/base/ids.ts"), join(folder, "linked/ids.ts"));
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.deepEqual(
    installed.map((one) => one.capability.description),
    ["For a test.", "since 2026/"],
  );
  for (const { name, problem } of refused)
    assert.equal(problem.code, "capability.import", `${name}: ${problem.message}`);
  const said = Object.fromEntries(refused.map(({ name, problem }) => [name, problem.message]));
  assert.equal(said.inner, 'lib/deep.ts imports "node:child_process", which a capability may not.');
  assert.match(said["greedy-package"]!, /^node_modules\/greedy\/main\.js imports/);
  assert.equal(said["no-neighbour"], 'index.ts imports "../no-such-neighbour/index.ts", which a capability may not.');
  assert.match(said["not-there"]!, /Cannot find package 'no-such-package' imported from index\.ts/);
  assert.equal(refused.length, 12);
});

test("a link to a folder, in which code would change unseen, is refused with a sentence", async (t) => {
  const folder = await folderOf(t, {
    "linking/index.ts": capability("linking"),
    "other/index.ts": capability("other"),
  });
  await symlink(join(folder, "other"), join(folder, "linking/lib"));
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.equal(installed.length, 1);
  assert.equal(refused[0]?.problem.message, "lib is a link to a folder, in which code would change unseen.");
});

test("packages of the repository are out of reach of a capability that stands in it", async (t) => {
  const folder = await mkdtemp(join(ROOT, "core/registry/.test-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "borrower"));
  await writeFile(join(folder, "borrower/index.ts"), `import "hono";`);
  await mkdir(join(folder, "modest"));
  await writeFile(join(folder, "modest/index.ts"), capability("modest"));
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.equal(installed.length, 1);
  assert.equal(refused[0]?.problem.message, 'index.ts imports "hono", which a capability may not.');
});

test("an import() in a handler is refused when the handler runs", async (t) => {
  const folder = await folderOf(t, {
    "late/index.ts": capability(
      "late",
      `triggers: [{ name: "on", on: { source: "x" }, run: () => import("node:fs") }]`,
    ),
  });
  const { installed } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  await assert.rejects(installed[0]!.capability.triggers![0]!.run({} as never), {
    code: "capability.import",
  });
});

test("of two that want one name the first in the alphabet has it, for every kind of name", async (t) => {
  const parts = {
    source: `webhooks: [{ source: "kit", verify: { scheme: "equality", header: "x", secret: "S" }, type: [] }], secrets: [{ name: "S", description: "x", generate: true }]`,
    tool: `tools: [{ name: "t", description: "x", input: z.object({}), effect: "none", run }]`,
    channel: `channels: [{ name: "pigeon", send: run }]`,
  };
  const agent = "---\ndescription: A poet\n---\nBe one.";
  const folder = await folderOf(t, {
    "a/index.ts": capability("a", Object.values(parts).join(", ")),
    "a/agents/poet.md": agent,
    "b-source/index.ts": capability("b-source", parts.source),
    "b-tool/index.ts": capability("b-tool", parts.tool),
    "b-channel/index.ts": capability("b-channel", parts.channel),
    "b-agent/index.ts": capability("b-agent"),
    "b-agent/agents/poet.md": agent,
    "c/index.ts": capability("c", `triggers: [{ name: "t", on: { source: "kit" }, run }]`),
  });
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.deepEqual(
    installed.map((one) => one.capability.name),
    ["a", "c"],
  );
  assert.deepEqual(
    refused.map((one) => one.problem.message),
    [
      "agent poet: a has this name.",
      "channel pigeon: a has this name.",
      "webhook kit: a has this name.",
      "tool t: a has this name.",
    ],
  );
});

test("what stands in its folder is found: agents, skills, samples; and a new version only when code changed", async (t) => {
  const webhook = (source: string) =>
    `{ source: "${source}", verify: { scheme: "equality", header: "x", secret: "S" }, type: [] }`;
  const folder = await folderOf(t, {
    "README.md": "not a capability",
    ".adding-x/capability/index.ts": "throw 1",
    "kit/index.ts": capability(
      "kit",
      `webhooks: [${webhook("kit")}, ${webhook("kit-shop")}], secrets: [{ name: "S", description: "x", generate: true }]`,
    ),
    "kit/agents/poet.md": "---\nname: poet\ndescription: A poet\n---\nBe one.",
    "kit/skills/rhyme/SKILL.md": "…",
    "kit/samples/subscriber.created.json": "{}",
    "kit/samples/kit-shop/order.json": "{}",
    "kit/samples/orders/create.json": "{}",
  });
  const load = async () => (await loadCapabilities(folder, { values: {}, envFile: ".env" })).installed[0]!;
  const kit = await load();
  assert.deepEqual(
    kit.agents.map((agent) => [agent.name, agent.instructions]),
    [["poet", "Be one."]],
  );
  assert.equal(kit.skillFolder, join(folder, "kit/skills"));
  assert.deepEqual(kit.samples, [
    { source: "kit", type: "orders/create", file: join(folder, "kit/samples/orders/create.json") },
    { source: "kit", type: "subscriber.created", file: join(folder, "kit/samples/subscriber.created.json") },
    { source: "kit-shop", type: "order", file: join(folder, "kit/samples/kit-shop/order.json") },
  ]);
  await writeFile(join(folder, "kit/samples/order.json"), "{}");
  await writeFile(join(folder, "kit/README.md"), "Kit");
  assert.equal((await load()).version, kit.version);
  await writeFile(join(folder, "kit/agents/poet.md"), "---\nname: poet\ndescription: A poet\n---\nBe a good one.");
  assert.notEqual((await load()).version, kit.version);
});

test("an error that a module lets go of refuses it, and ends nothing; any other error still ends the process", async (t) => {
  const floating = 'Promise.reject(new Error("let go"));';
  const folder = await folderOf(t, {
    "capabilities/fine/index.ts": capability("fine"),
    "capabilities/floating/index.ts": floating + capability("floating"),
    "capabilities/ticking/index.ts": `setTimeout(() => { throw new Error("later"); }, 200);${capability("ticking")}`,
    "main.ts": `import { loadCapabilities } from "${ROOT}/core/registry/load.ts";
      import { listenForStrays } from "${ROOT}/core/registry/strays.ts";
      const { installed, refused } = await loadCapabilities("${"FOLDER"}/capabilities", { values: {}, envFile: ".env" });
      console.log(installed.map((one) => one.capability.name).join(), refused[0].problem.message);
      listenForStrays((folder, error) => console.log(folder.split("/").at(-1), error.message));
      setTimeout(() => { throw new Error("ours"); }, 400);`,
  });
  const main = join(folder, "main.ts");
  await writeFile(main, (await readFile(main, "utf8")).replace("FOLDER", folder));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main], { env: {}, encoding: "utf8" });
  assert.equal(
    stdout,
    "fine,ticking index.ts threw when it was imported: Error: let go (index.ts:1).\nticking later\n",
    stderr,
  );
  assert.notEqual(status, 0);
  assert.match(stderr, /ours/);
});

test("what ships installed loads, outside of the repository too", async (t) => {
  const folder = await folderOf(t, {});
  await cp(join(ROOT, "capabilities"), folder, { recursive: true });
  const { installed, refused } = await loadCapabilities(folder, { values: {}, envFile: ".env" });
  assert.deepEqual(refused, []);
  assert.deepEqual(
    installed.map((one) => one.capability.name),
    ["competitor-analysis", "github", "ideas"],
  );
});
