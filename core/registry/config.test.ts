import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readConfig } from "./config.ts";

const WHOLE = {
  owner: { name: "Ada", zone: "Europe/Amsterdam" },
  models: {
    light: { provider: "demo", model: "demo" },
    heavy: { provider: "openai", model: "gpt", price: { input: 1, output: 2 } },
  },
  limits: { run: { turns: 20, usd: 0.5, minutes: 15 }, dayUsd: 5, monthUsd: 50 },
};

async function read(t: TestContext, text: string) {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "daimon.config.ts");
  writeFileSync(file, text);
  return await readConfig(file);
}

test("the owner's file is read as it stands", async (t) => {
  assert.deepEqual(await read(t, `export default ${JSON.stringify(WHOLE)};`), WHOLE);
});

test("a field that is not as it must be is named: money above all", async (t) => {
  const wrong: readonly [object, string][] = [
    [{ limits: { ...WHOLE.limits, dayUsd: "five" } }, '"limits.dayUsd" must be a number.'],
    [{ limits: { ...WHOLE.limits, monthUsd: -1 } }, '"limits.monthUsd" must not be negative.'],
    [{ limits: { dayUsd: 5, monthUsd: 50 } }, '"limits.run" is missing.'],
    [{ limits: { ...WHOLE.limits, dayUSD: 5 } }, '"limits" has no field "dayUSD".'],
    [{ models: { light: WHOLE.models.light } }, '"models.heavy" is missing.'],
    [
      { models: { ...WHOLE.models, quick: { provider: "foo", model: "m" } } },
      '"models.quick.provider" must be one of "anthropic", "openai", "openai-compatible", "demo".',
    ],
    [{ owner: { name: "Ada", zone: "Mars/X" } }, '"owner.zone" must be an IANA time zone, like "Europe/Amsterdam".'],
    [{ publicUrl: "daimon.example" }, '"publicUrl" must be an address, like "https://daimon.example".'],
    [{ concurrency: 0 }, '"concurrency" must be more than 0.'],
    [
      { sources: { github: { expectEvery: "soon" } } },
      '"sources.github.expectEvery" must be a duration up to a year, like "30s", "5m" or "1d12h".',
    ],
  ];
  for (const [change, sentence] of wrong) {
    await assert.rejects(read(t, `export default ${JSON.stringify({ ...WHOLE, ...change })};`), {
      code: "config.invalid",
      message: `daimon.config.ts: ${sentence}`,
      next: "docs/reference/configuration.md has each field.",
    });
  }
});

test("a file that is none of ours is told in a sentence, with the line where it is known", async (t) => {
  const wrong: readonly [string, RegExp][] = [
    ["export const config = 1;", /^daimon\.config\.ts: it has no default export: write `export default /],
    ["export default {\n  owner: ", /^daimon\.config\.ts cannot be read: SyntaxError: .*\(line 2\)\.$/],
    ['throw new Error("boom");', /^daimon\.config\.ts cannot be read: Error: boom \(line 1\)\.$/],
    ['import x from "nowhere"; export default x;', /^daimon\.config\.ts cannot be read: Error: Cannot find package/],
  ];
  for (const [text, message] of wrong) await assert.rejects(read(t, text), { name: "DaimonError", message });
  await assert.rejects(readConfig("/nowhere/daimon.config.ts"), { code: "config.missing" });
});
