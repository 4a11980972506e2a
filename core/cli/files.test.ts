import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../base/environment.ts";
import { interrupt, testCli } from "../test/cli.ts";

const NOTES = `
console.log("It was only looked at.");
import { defineCapability, defineTool, defineWebhook, z } from "daimon";

export default defineCapability({
  name: "notes",
  description: "Takes notes.",
  webhooks: [defineWebhook({
    source: "notes",
    verify: { scheme: "hmac", secret: "NOTES_SECRET", header: "x-signature", algorithm: "sha256", encoding: "hex" },
    type: [{ header: "x-type" }],
    setup: "The secret stands in home/.env.",
  })],
  tools: [defineTool({ name: "count_notes", description: "Counts.", input: z.object(), effect: "read", run: async () => 1 })],
  schedules: [{ name: "weekly", cron: "0 9 * * 2", run: async () => null }],
  secrets: [{ name: "NOTES_SECRET", description: "Signs what comes in.", generate: true }],
  egress: ["notes.example"],
});
`;

test("add shows what it will do, asks, tells the secret once; list sees it; remove leaves nothing", async (t) => {
  const { home, run } = testCli(t);
  const from = join(dirname(home), "notes");
  const capabilities = join(dirname(home), "capabilities");
  mkdirSync(from);
  mkdirSync(capabilities);
  writeFileSync(join(from, "index.ts"), NOTES);
  symlinkSync(join(ROOT, "node_modules"), join(dirname(home), "node_modules"));
  const places = { DAIMON_CAPABILITIES: capabilities, DAIMON_HOME: join(dirname(home), "elsewhere") };
  const environment = { ...places, TZ: "Asia/Tokyo" };
  const secrets = () => readFileSync(join(environment.DAIMON_HOME, ".env"), "utf8");

  const asked = await run(["add", from], { environment });
  assert.deepEqual(
    [asked.code, JSON.parse((await run(["list", "--json"], { environment })).stdout)],
    [2, { items: [], next: null }],
  );
  assert.match(asked.stderr, /Say --yes/, asked.stderr);
  const added = await run(["add", from, "--yes"], { environment });
  assert.deepEqual([added.code, added.stderr.includes("restart Daimon")], [0, true], added.stderr);
  assert.match(added.stdout, /weekly: 0 9 \* \* 2, next (\S+ )?09:00(:00)? · in /);
  const secret = /^NOTES_SECRET=(\w+)$/m.exec(secrets())![1]!;
  for (const told of [
    ...["count_notes: read", "notes.example", "NOTES_SECRET: generated", "/hooks/notes", secret],
    "(shown once; it stands in elsewhere/.env)",
  ]) {
    assert.ok(added.stdout.includes(told), told);
  }
  assert.match(added.stderr, /stands in elsewhere\/\.env\./);
  assert.match((await run(["list"], { environment })).stdout, /^✓ {2}notes {2}Takes notes\.\n$/);
  assert.match((await run(["add", from, "--yes"], { environment })).stderr, /installed already/);

  assert.equal((await run(["remove", "notes", "--yes"], { environment })).code, 0);
  assert.doesNotMatch(secrets(), /NOTES_SECRET/);
  assert.equal((await run(["remove", "notes", "--yes"], { environment })).code, 3);
  assert.match((await run(["list"], { environment })).stderr, /Nothing is installed/);
});

test("skills are those of the hub, and one that is left out is told of", async (t) => {
  const { home, run } = testCli(t);
  mkdirSync(join(home, "hub/skills/tidy-up"), { recursive: true });
  writeFileSync(join(home, "hub/skills/tidy-up/SKILL.md"), "---\nname: tidy-up\ndescription: Tidies up.\n---\nDo.\n");
  const environment = { DAIMON_CAPABILITIES: join(home, "none") };
  mkdirSync(join(home, "hub/skills/mute"));
  writeFileSync(join(home, "hub/skills/mute/SKILL.md"), "Do.\n");
  const { stdout, stderr } = await run(["skills", "list"], { environment });
  assert.equal(stdout, "tidy-up  Tidies up.\n");
  assert.equal(stderr, "warn: skill mute: left out: it has no front matter\n");
});

test("init keeps the key where only its owner reads it, and the owner in daimon.config.ts", async (t) => {
  const { home, run } = testCli(t);
  const clone = join(dirname(home), "clone");
  for (const part of ["core", "bin", "package.json"]) cpSync(join(ROOT, part), join(clone, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
  const config = join(clone, "daimon.config.ts");
  writeFileSync(config, 'export default {\n  owner: { name: "you" },\n  models: {},\n};\n');
  writeFileSync(join(home, ".env"), "A=1\nANTHROPIC_API_KEY=sk-ant-old\nB=2", { mode: 0o644 });
  const script = join(clone, "bin/daimon.js");

  const words = ["init", "--name", 'Ada "A" L', "--zone", "Europe/Amsterdam", "--key-from-stdin"];
  const kept = await run(words, { script, input: "sk-ant-new\n" });
  assert.equal(kept.code, 0, kept.stderr);
  assert.equal(readFileSync(join(home, ".env"), "utf8"), "A=1\nB=2\nANTHROPIC_API_KEY=sk-ant-new\n");
  assert.equal(statSync(join(home, ".env")).mode & 0o777, 0o600);
  assert.equal((await run(["init", "--zone", "UTC"], { script })).code, 0);
  assert.match(readFileSync(config, "utf8"), /^ {2}owner: \{ name: "Ada \\"A\\" L", zone: "UTC" \},$/m);

  assert.equal((await run(["init", "--zone", "Mars/North"], { script })).code, 2);
  assert.equal((await run(["init", "--key-from-stdin"], { script, input: "two words\n" })).code, 2);
  writeFileSync(config, "export default {};\n");
  const changed = await run(["init", "--name", "Eve"], { script });
  assert.match(changed.stderr, /Write into daimon\.config\.ts: owner: \{ name: "Eve" \},/);
});

test("logs shows the end, above a level, and follows through a rotation", async (t) => {
  const { home, run } = testCli(t);
  assert.equal((await run(["logs"])).code, 3);
  const file = join(home, "daimon.log");
  const entry = (level: string, message: string) =>
    `${JSON.stringify({ time: "2026-11-22T10:00:00Z", level, message, source: "kit" })}\n`;
  writeFileSync(file, entry("info", "one") + entry("warn", "two\u001b[2J") + entry("error", "three"));
  assert.match(
    (await run(["logs", "-n", "2"])).stdout,
    /^\S+ {2}warn two\[2J {2}source="kit"\n\S+ {2}error three .*\n$/,
  );
  assert.equal((await run(["logs", "--level", "error", "--json"])).stdout, entry("error", "three"));

  const rotate = () => {
    renameSync(file, `${file}.1`);
    writeFileSync(file, entry("warn", "six"));
  };
  const { code, stdout } = await run(["logs", "-f", "--level", "warn", "-n", "1"], {
    react: [
      ["three", () => appendFileSync(file, entry("info", "four") + entry("warn", "five"))],
      ["five", rotate],
      ["six", interrupt],
    ],
  });
  assert.deepEqual([code, stdout.match(/one|two|three|four|five|six/g)], [130, ["three", "five", "six"]]);
});

test("the shell completes commands, options and their values", async (t) => {
  const { run } = testCli(t);
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await run(["completion", shell]);
    assert.equal(code, 0);
    assert.match(stdout, /daimon complete --/);
  }
  const words = async (...typed: string[]) => (await run(["complete", "--", ...typed])).stdout;
  assert.match(await words("ru"), /^runs\tThe executions/);
  assert.match(await words("runs", ""), /^list\t(.|\n)*\nwatch\t/);
  assert.match(await words("runs", "list", "--st"), /^--status\t/);
  assert.match(await words("runs", "list", "--status", "fa"), /^failed\t/);
});

test("add names the missing line and its file, and works once it stands there; a sender's own secret may come later", async (t) => {
  const { home, run } = testCli(t);
  const folder = dirname(home);
  const from = join(folder, "wanting");
  mkdirSync(from);
  writeFileSync(
    join(from, "index.ts"),
    `import { defineCapability } from "daimon";
     export default defineCapability({ name: "wanting", description: "Wants.", secrets: [{ name: "SHOP_KEY", description: "The shop's key" }] });`,
  );
  mkdirSync(join(folder, "capabilities"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const environment = {
    DAIMON_CAPABILITIES: join(folder, "capabilities"),
    DAIMON_HOME: join(folder, "elsewhere"),
  };
  const add = (name: string) => run(["add", name, "--yes"], { environment });
  const refused = await add(from);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^secret SHOP_KEY is missing: The shop's key\.\n *Next: Write the line SHOP_KEY=… into elsewhere\/\.env, then try again\./m,
  );
  mkdirSync(environment.DAIMON_HOME);
  writeFileSync(join(environment.DAIMON_HOME, ".env"), "SHOP_KEY=x\n");
  assert.equal((await add(from)).code, 0);

  const payments = await add("payments");
  assert.deepEqual([payments.code, payments.stdout.includes("/hooks/stripe")], [0, true], payments.stderr);
  const line = "Write the line STRIPE_WEBHOOK_SECRET=… into elsewhere/.env: until then its requests are answered 503.";
  assert.ok(payments.stderr.includes(line), payments.stderr);
  const installed = JSON.parse((await run(["list", "--json"], { environment })).stdout) as {
    items: { name: string }[];
  };
  assert.deepEqual(
    installed.items.map(({ name }) => name),
    ["payments", "wanting"],
  );
});
