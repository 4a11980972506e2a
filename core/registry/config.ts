import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { ROOT } from "../base/environment.ts";
import { DaimonError } from "../base/errors.ts";
import { isZone } from "../base/zones.ts";
import type { Config } from "../define/config.ts";
import { anyText, count, duration, oneOf, positive, sentence, text } from "./shape.ts";

/** The owner's file. */
export const CONFIG_FILE: string = join(ROOT, "daimon.config.ts");

const usd = z.number("must be a number").min(0, "must not be negative");
const price = z.strictObject({ input: usd, output: usd, cacheRead: usd.optional(), cacheWrite: usd.optional() });
const isAddress = (value: string) => /^https?:/.test(value) && URL.canParse(value);
const kind = { provider: oneOf("anthropic", "openai", "openai-compatible", "demo"), model: text };
const more = { baseUrl: text, key: text, price, maxOutputTokens: count };
const model = z.strictObject({ ...kind, ...z.object(more).partial().shape });
const zone = text.refine(isZone, 'must be an IANA time zone, like "Europe/Amsterdam"');
const fields = {
  owner: z.strictObject({ name: anyText, zone: zone.optional() }),
  models: z.object({ light: model, heavy: model }).catchall(model),
  limits: z.strictObject({ run: z.strictObject({ turns: count, usd, minutes: positive }), dayUsd: usd, monthUsd: usd }),
  publicUrl: text.refine(isAddress, 'must be an address, like "https://daimon.example"').optional(),
  concurrency: count.optional(),
  sources: z.record(z.string(), z.strictObject({ expectEvery: duration.optional() })).optional(),
};
const shape = z.strictObject(fields, "has no default export: write `export default defineConfig({ … })`");

/** What is yours and not a secret. Throws `config.missing`, `config.threw`, `config.invalid`. */
export async function readConfig(file: string = CONFIG_FILE): Promise<Config> {
  if (!existsSync(file)) throw new DaimonError("config.missing", "There is no daimon.config.ts.", RESTORE);
  const module = (await import(pathToFileURL(file).href).catch((error: unknown) => {
    const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
    const line = /daimon\.config\.ts:(\d+)/.exec(stack)?.[1];
    const where = line ? ` (line ${line})` : "";
    throw new DaimonError("config.threw", `daimon.config.ts cannot be read: ${name}: ${message}${where}.`, RESTORE);
  })) as { default?: unknown };
  const parsed = shape.safeParse(module.default, { jitless: true });
  if (parsed.success) return module.default as Config;
  const sentences = parsed.error.issues.map((issue) => sentence(issue, module.default, "daimon.config.ts"));
  throw new DaimonError("config.invalid", sentences.join(" "), "docs/reference/configuration.md has each field.");
}

const RESTORE = "Mend it, or take the first one back: git checkout daimon.config.ts";
