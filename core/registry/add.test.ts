import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { readEnvironment } from "../base/environment.ts";
import { installCapability, planCapability, removeCapability } from "./add.ts";
import { loadCapabilities } from "./load.ts";

async function house(t: TestContext) {
  const root = await realpath(await mkdtemp(join(tmpdir(), "daimon-add-")));
  t.after(() => rm(root, { recursive: true, force: true }));
  const environment = () =>
    readEnvironment({ DAIMON_HOME: join(root, "home"), DAIMON_CAPABILITIES: join(root, "capabilities") });
  return { root, environment };
}

async function write(folder: string, files: Record<string, string>): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

const capability = (name: string, parts = "", top = "") =>
  `import { defineCapability, z } from "daimon";\n${top}\nconst run = async () => null;\n` +
  `export default defineCapability({ name: "${name}", description: "For a test.", ${parts} } as never);\n`;
const kit = (name: string, source = "kit") =>
  capability(
    name,
    `webhooks: [{ source: "${source}", verify: { scheme: "equality", header: "x", secret: "KIT_SECRET" }, type: [] }],
    schedules: [{ name: "weekly", cron: "0 9 * * 2", run }],
    tools: [{ name: "${source}_tool", description: "Does it", input: z.object({}), effect: "send", run }],
    egress: ["api.kit.com"],
    secrets: [{ name: "KIT_SECRET", description: "Signs", generate: true }, { name: "KIT_KEY", description: "The key", required: false }]`,
  );
const git = (folder: string, ...words: string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...words], { cwd: folder });

test("a folder is planned, installed, loaded and removed, and nothing is left behind", async (t) => {
  const { root, environment } = await house(t);
  await write(join(root, "home"), { ".env": "# mine\nMINE=1" });
  const folder = await write(join(root, "some-kit"), {
    "index.ts": kit("kit"),
    "agents/poet.md": "---\ndescription: A poet\n---\nBe one.",
    "samples/order.json": "{}",
    "skills/rhyme/SKILL.md": "---\ndescription: Rhymes.\n---\nRhyme.",
    ".git/config": "",
    "node_modules/x/index.js": "",
  });
  const now = new Date("2026-11-22T12:00:00Z");
  const plan = await planCapability(folder, environment(), {
    base: "https://daimon.example",
    zone: "Europe/Berlin",
    now,
  });
  assert.deepEqual(plan.addresses, [{ source: "kit", url: "https://daimon.example/hooks/kit" }]);
  assert.deepEqual(plan.schedules, [{ name: "weekly", cron: "0 9 * * 2", next: new Date("2026-11-24T08:00:00Z") }]);
  assert.deepEqual(plan.tools, [{ name: "kit_tool", description: "Does it", effect: "send", approval: false }]);
  assert.deepEqual(plan.egress, ["api.kit.com"]);
  assert.deepEqual([plan.agents, plan.skills], [["poet"], ["rhyme"]]);
  assert.deepEqual(
    plan.secrets.map(({ name, state }) => [name, state]),
    [
      ["KIT_SECRET", "generated"],
      ["KIT_KEY", "optional"],
    ],
  );
  assert.deepEqual(
    plan.files.map((file) => file.path),
    ["agents/poet.md", "index.ts", "samples/order.json", "skills/rhyme/SKILL.md"],
  );
  assert.deepEqual((await loadCapabilities(environment().capabilities, environment())).installed, []);

  assert.deepEqual(await installCapability(plan, environment()), { secrets: ["KIT_SECRET"] });
  assert.deepEqual(await readdir(environment().capabilities), ["kit"]);
  assert.match(environment().values.KIT_SECRET!, /^[0-9a-f]{64}$/);
  const { installed } = await loadCapabilities(environment().capabilities, environment());
  assert.equal(installed[0]!.capability.name, "kit");
  await assert.rejects(planCapability(folder, environment()), { code: "add.installed" });

  assert.deepEqual((await removeCapability("kit", environment())).secrets, ["KIT_SECRET"]);
  assert.deepEqual(await readdir(environment().capabilities), []);
  assert.equal(await readFile(join(root, "home/.env"), "utf8"), "# mine\nMINE=1\n");
  await assert.rejects(removeCapability("kit", environment()), { code: "capability.unknown" });
});

test("a plan that is discarded leaves nothing, and what a killed add left is swept", async (t) => {
  const { root, environment } = await house(t);
  const folder = await write(join(root, "kit"), { "index.ts": kit("kit") });
  const left = await write(join(environment().capabilities, ".adding-old"), { "capability/index.ts": "" });
  await utimes(left, 0, 0);
  const plan = await planCapability(folder, environment());
  assert.ok(!existsSync(left));
  await plan.discard();
  assert.deepEqual(await readdir(environment().capabilities), []);
});

test("a name of the catalog is added", async (t) => {
  const { environment } = await house(t);
  const plan = await planCapability("generic-webhook", environment());
  await installCapability(plan, environment());
  const { installed, refused } = await loadCapabilities(environment().capabilities, environment());
  assert.deepEqual(refused, []);
  assert.deepEqual(
    installed[0]!.samples.map(({ source, type }) => [source, type]),
    [["generic", "order.paid"]],
  );
});

test("a git repository is added, or a folder in it, without its hooks and its history", async (t) => {
  const { root, environment } = await house(t);
  const repository = await write(join(root, "repository"), {
    "index.ts": kit("kit"),
    "shop/index.ts": kit("shop", "shop"),
  });
  git(repository, "init", "--quiet");
  git(repository, "add", ".");
  git(repository, "commit", "--quiet", "-m", "One");
  for (const [from, name] of [
    [`file://${repository}`, "kit"],
    [`file://${repository}#shop`, "shop"],
  ] as const) {
    const plan = await planCapability(from, environment());
    assert.equal(plan.name, name);
    await installCapability(plan, environment());
    assert.ok(!existsSync(join(environment().capabilities, name, ".git")));
  }
  await assert.rejects(planCapability(`file://${repository}#..`, environment()), { code: "add.outside" });
  await assert.rejects(planCapability(`file://${repository}#none`, environment()), { code: "add.missing" });
  await assert.rejects(planCapability(`file://${root}/nothing`, environment()), {
    code: "add.git",
    message: `git could not clone file://${root}/nothing: fatal: '${root}/nothing' does not appear to be a git repository`,
  });
  assert.deepEqual(await readdir(environment().capabilities), ["kit", "shop"]);
});

test("packages come as the lock file says, and none of their scripts runs", async (t) => {
  const { root, environment } = await house(t);
  const answer = {
    name: "answer",
    version: "1.0.0",
    main: "main.js",
    scripts: { install: `touch ${root}/ran` },
  };
  await write(join(root, "answer"), {
    "package.json": JSON.stringify(answer),
    "main.js": "module.exports = 42;",
  });
  const folder = await write(join(root, "packed"), {
    "index.ts": capability(
      "packed",
      "",
      `import answer from "answer";\nif (answer !== 42) throw new Error("no answer");`,
    ),
    "package.json": JSON.stringify({
      name: "packed",
      version: "1.0.0",
      type: "module",
      dependencies: { answer: "file:answer.tgz" },
    }),
  });
  execFileSync("npm", ["pack", "--silent"], { cwd: join(root, "answer") });
  execFileSync("mv", [join(root, "answer/answer-1.0.0.tgz"), join(folder, "answer.tgz")]);
  await assert.rejects(planCapability(folder, environment()), { code: "add.lock" });
  execFileSync("npm", ["install", "--package-lock-only", "--silent", "--no-audit", "--offline"], {
    cwd: folder,
  });

  await installCapability(await planCapability(folder, environment()), environment());
  const { installed, refused } = await loadCapabilities(environment().capabilities, environment());
  assert.deepEqual([installed.length, refused], [1, []]);
  assert.ok(!existsSync(join(root, "ran")));
});

test("what a folder may not be is said, and nothing is left of it", async (t) => {
  const { root, environment } = await house(t);
  const installed = await write(join(root, "kit"), { "index.ts": kit("kit") });
  await installCapability(await planCapability(installed, environment()), environment());
  const linked = await write(join(root, "linked"), { "index.ts": capability("linked") });
  await symlink("/etc/passwd", join(linked, "notes.md"));
  const large = await write(join(root, "large"), { "index.ts": capability("large"), "film.bin": "" });
  await truncate(join(large, "film.bin"), 21 * 1024 * 1024);
  const wanting = await write(join(root, "wanting"), {
    "index.ts": capability("wanting", `secrets: [{ name: "KIT_KEY", description: "The key that Kit shows" }]`),
  });
  const index = (name: string, text: string) => write(join(root, name), { "index.ts": text });

  const refusals: [from: string, code: string, message: RegExp][] = [
    ["nowhere", "add.unknown", /The catalog has no "nowhere"\. It has: .*generic-webhook/],
    ["./nowhere", "add.missing", /no index\.ts in \/.*\/nowhere/],
    [root, "add.missing", /no index\.ts/],
    [linked, "add.link", /notes\.md is a link/],
    [large, "add.large", /2 files of 22 MiB/],
    [await index("shop", kit("shop")), "capability.taken", /^webhook kit: kit has this name\.$/],
    [await index("thrower", "throw new Error('no')"), "capability.threw", /Error: no/],
    [await index("reader", `import "node:fs";`), "capability.import", /imports "node:fs"/],
    [await index("spinner", "for (;;);"), "capability.slow", /kept it busy/],
    [await index("leaver", "process.exit(0);"), "capability.slow", /ended the process/],
    [await index("stray", `Promise.reject(new Error("gone"));`), "capability.threw", /Error: gone \(index\.ts:1\)/],
    [
      await write(join(root, "odd"), { "index.ts": "", "package.json": "{ x" }),
      "add.packages",
      /package\.json is not JSON/,
    ],
  ];
  for (const [from, code, message] of refusals) {
    await assert.rejects(planCapability(from, environment()), { code, message }, from);
  }
  const plan = await planCapability(wanting, environment());
  assert.equal(plan.secrets[0]!.state, "missing");
  await assert.rejects(installCapability(plan, environment()), {
    code: "secret.missing",
    message: "secret KIT_KEY is missing: The key that Kit shows.",
    next: `Write the line KIT_KEY=… into ${join(root, "home/.env")}, then try again.`,
  });
  await plan.discard();
  assert.deepEqual(await readdir(environment().capabilities), ["kit"]);
});

test("a stranger's code can read nothing, write nothing and see no secret while it is only looked at", async (t) => {
  const { root, environment } = await house(t);
  const folder = await write(join(root, "curious"), {
    "index.ts": capability(
      "curious",
      "",
      `const fs = process.getBuiltinModule("node:fs");
      const tries = [() => fs.readFileSync("/etc/passwd"), () => fs.writeFileSync("${root}/mark", ""),
        () => process.getBuiltinModule("node:child_process").execSync("touch ${root}/mark"),
        () => { if (!process.env.PATH && !process.env.HOME) throw 0; }];
      for (const attempt of tries) { let worked = true; try { attempt(); } catch { worked = false; } if (worked) throw new Error("worked: " + attempt); }`,
    ),
  });
  const plan = await planCapability(folder, environment());
  assert.equal(plan.name, "curious");
  assert.ok(!existsSync(join(root, "mark")));
});

test("a link to nowhere keeps nothing else from being removed, and goes like any other", async (t) => {
  const { root, environment } = await house(t);
  await write(environment().capabilities, { "one/index.ts": kit("one") });
  await symlink(join(root, "nowhere"), join(environment().capabilities, "lost"));
  for (const name of ["one", "lost"]) await removeCapability(name, environment());
  assert.deepEqual(await readdir(environment().capabilities), []);
});

test("a secret that another capability declares too stays when one of them goes", async (t) => {
  const { root, environment } = await house(t);
  for (const name of ["one", "two"]) {
    const folder = await write(join(root, name), { "index.ts": kit(name, name) });
    await installCapability(await planCapability(folder, environment()), environment());
  }
  assert.deepEqual((await removeCapability("one", environment())).secrets, []);
  assert.ok(environment().values.KIT_SECRET);
  await write(environment().capabilities, { "three/index.ts": kit("three", "two") });
  assert.deepEqual((await removeCapability("three", environment())).secrets, []);
  assert.deepEqual((await removeCapability("two", environment())).secrets, ["KIT_SECRET"]);
});
