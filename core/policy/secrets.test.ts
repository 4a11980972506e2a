import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { readEnvironment } from "../base/environment.ts";
import { createSecrets } from "./secrets.ts";

async function home(t: TestContext, file?: string) {
  const folder = await mkdtemp(join(tmpdir(), "daimon-secrets-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  if (file !== undefined) await writeFile(join(folder, ".env"), file, { mode: 0o644 });
  return folder;
}

const open = (folder: string, more: Record<string, string> = {}) =>
  createSecrets(readEnvironment({ DAIMON_HOME: folder, ...more }));

const hook = { name: "KIT_WEBHOOK_SECRET", description: "signs", generate: true };

test("a missing secret says its name and where to write it", async (t) => {
  const folder = await home(t, "EMPTY=\n");
  const secrets = open(folder);
  assert.throws(() => secrets.value("STRIPE_KEY"), {
    code: "secret.missing",
    next: `Write STRIPE_KEY=… into ${folder}/.env, and restart.`,
  });
  assert.throws(() => secrets.value("EMPTY"), { code: "secret.missing" });
});

test("a capability gets the secrets it declares and no other", async (t) => {
  const secrets = open(await home(t, "ONE=1\nOTHER=2\n"));
  const secret = secrets.of({ name: "shop", secrets: [{ name: "ONE", description: "" }] });
  assert.equal(secret("ONE"), "1");
  assert.throws(() => secret("OTHER"), { code: "secret.undeclared" });
});

test("what is ours to choose is made once, beside what stands in the file, for the owner's eyes only", async (t) => {
  const folder = await home(t, 'ANTHROPIC_API_KEY="k y"');
  const secrets = open(folder);
  assert.deepEqual(await secrets.generate([hook, { name: "STRIPE_KEY", description: "theirs" }]), [hook.name]);
  const value = secrets.value(hook.name);
  assert.match(value, /^[0-9a-f]{64}$/);
  assert.equal(await readFile(join(folder, ".env"), "utf8"), `ANTHROPIC_API_KEY="k y"\n${hook.name}=${value}\n`);
  assert.equal((await stat(join(folder, ".env"))).mode & 0o777, 0o600);
  const again = open(folder);
  assert.deepEqual(await again.generate([hook]), []);
  assert.equal(again.value(hook.name), value);
  assert.throws(() => again.value("STRIPE_KEY"), { code: "secret.missing" });
});

test("two starts at once agree on one value", async (t) => {
  const folder = await home(t);
  const both = [open(folder), open(folder)];
  const made = await Promise.all(both.map((secrets) => secrets.generate([hook])));
  assert.equal(made.flat().length, 1);
  assert.equal(both[0]!.value(hook.name), both[1]!.value(hook.name));
});

test("a variable that is set to nothing does not hide the value in the file", async (t) => {
  const folder = await home(t);
  const first = open(folder, { [hook.name]: "" });
  await first.generate([hook]);
  const second = open(folder, { [hook.name]: "" });
  await second.generate([hook]);
  assert.equal(second.value(hook.name), first.value(hook.name));
});

test("a half-written file that a crash left is no obstacle, and a link stays a link", async (t) => {
  const folder = await home(t);
  const elsewhere = join(await home(t), "shared.env");
  await writeFile(elsewhere, "A=1\n");
  await symlink(elsewhere, join(folder, ".env"));
  await writeFile(`${elsewhere}.new`, "half");
  await utimes(`${elsewhere}.new`, 0, 0);
  await open(folder).generate([hook]);
  assert.match(await readFile(elsewhere, "utf8"), /^A=1\nKIT_WEBHOOK_SECRET=[0-9a-f]{64}\n$/);
});

test("values of secrets are replaced by their names, the longest first", async (t) => {
  const folder = await home(t, "SHORT_KEY=abc\nROTATED=first-value,second-value\nLONG_TOKEN=first-value-longer\n");
  const secrets = createSecrets(readEnvironment({ DAIMON_HOME: folder }), [{ name: "ROTATED", description: "" }]);
  assert.equal(
    secrets.redact("abc second-value and first-value-longer, first-value."),
    "abc ‹ROTATED› and ‹LONG_TOKEN›, ‹ROTATED›.",
  );
  await secrets.generate([hook]);
  assert.equal(secrets.redact(`x${secrets.value(hook.name)}y`), `x‹${hook.name}›y`);
});
