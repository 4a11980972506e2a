import { randomBytes } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseEnv } from "node:util";
import type { Environment } from "../base/environment.ts";
import { DaimonError } from "../base/errors.ts";
import type { Secret } from "../define/capability.ts";

/** Shorter values would be found in ordinary text. */
const SHORTEST = 8;
/** Milliseconds after which a half-written `.env.new` was left by a crash. */
const STALE = 5000;

/** The secrets by name. Values leave here only for the edge: signatures, channels, model calls. */
export interface Secrets {
  has(name: string): boolean;
  /** Throws `secret.missing`. */
  value(name: string): string;
  /** The secrets of one capability: `secret.undeclared` for any that it does not declare. */
  of(capability: { name: string; secrets?: readonly Secret[] }): (name: string) => string;
  /** Makes those that are missing and ours to choose, into `home/.env`; returns their names. */
  generate(declared: readonly Secret[]): Promise<string[]>;
  /** The text with every known secret's value replaced by `‹NAME›`. */
  redact(text: string): string;
}

/** The error of a secret that a line in `envFile` would set. */
export function secretMissing(name: string, envFile: string): DaimonError {
  const next = `Write ${name}=… into ${envFile}, and restart.`;
  return new DaimonError("secret.missing", `The secret ${name} is not set.`, next);
}

/** Secrets of the environment and `home/.env`. Known to `redact` are those declared, and whatever is named like one. */
export function createSecrets(environment: Environment, declared: readonly Secret[] = []): Secrets {
  const values = new Map(
    Object.entries(environment.values).flatMap(([name, value]) => (value ? [[name, value] as const] : [])),
  );
  const known = new Set(declared.map((secret) => secret.name));
  for (const name of values.keys()) if (/(^|_)(KEY|TOKEN|SECRET|PASSWORD)$/.test(name)) known.add(name);
  let redactor: ((text: string) => string) | undefined;

  const value = (name: string): string => {
    const found = values.get(name);
    if (found) return found;
    throw secretMissing(name, environment.envFile);
  };

  return {
    has: (name) => values.has(name),
    value,
    of: (capability) => (name) => {
      if (capability.secrets?.some((secret) => secret.name === name)) return value(name);
      throw new DaimonError(
        "secret.undeclared",
        `${capability.name} asks for the secret ${name}, which it does not declare.`,
        `Add { name: "${name}", description: "…" } to its secrets.`,
      );
    },
    async generate(secrets) {
      for (const secret of secrets) known.add(secret.name);
      redactor = undefined;
      const missing = secrets.filter((secret) => secret.generate && !values.has(secret.name));
      if (missing.length === 0) return [];
      const names = [...new Set(missing.map((secret) => secret.name))];
      const { kept, made } = await addToFile(environment.home, names);
      for (const [name, text] of Object.entries(kept)) values.set(name, text);
      return made;
    },
    redact(text) {
      redactor ??= createRedactor([...known].flatMap((name) => (values.has(name) ? [[name, values.get(name)!]] : [])));
      return redactor(text);
    },
  };
}

/** Takes values that were made by us (64 hex digits) out of `home/.env`; what a person wrote there stays. Returns their names. */
export async function forgetSecrets(home: string, names: readonly string[]): Promise<string[]> {
  const path = join(home, ".env");
  const values = existsSync(path) ? parseEnv(await readFile(path, "utf8")) : {};
  const ours = names.filter((name) => /^[0-9a-f]{64}$/.test(values[name] ?? ""));
  const kept = (line: string) => !ours.some((name) => line === `${name}=${values[name]}`);
  if (ours.length > 0) await rewriteFile(home, (before) => before.split("\n").filter(kept).join("\n"));
  return ours;
}

/** Random values for the names that `home/.env` does not hold yet. */
async function addToFile(home: string, names: string[]): Promise<{ kept: Record<string, string>; made: string[] }> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  let made: string[] = [];
  const text = await rewriteFile(home, (before) => {
    const there = parseEnv(before);
    made = names.filter((name) => !there[name]);
    const gap = before === "" || before.endsWith("\n") ? "" : "\n";
    return before + gap + made.map((name) => `${name}=${randomBytes(32).toString("hex")}\n`).join("");
  });
  const all = parseEnv(text);
  return { kept: Object.fromEntries(names.map((name) => [name, all[name]!])), made };
}

/** `home/.env` with what `change` makes of it, which is returned; the new file takes the old one's place at once. */
async function rewriteFile(home: string, change: (before: string) => string): Promise<string> {
  const path = join(home, ".env");
  const file = existsSync(path) ? realpathSync(path) : path;
  const draft = `${file}.new`;
  const handle = await openAlone(draft);
  try {
    const text = change(existsSync(file) ? await readFile(file, "utf8") : "");
    await handle.writeFile(text);
    await handle.sync();
    await rename(draft, file);
    return text;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Opens a file that must not be there, so that two processes that start at once take turns. */
async function openAlone(path: string) {
  for (;;) {
    try {
      return await open(path, "wx", 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const left = await stat(path).catch(() => null);
      if (left && Date.now() - left.mtimeMs > STALE) await rm(path, { force: true });
      else await pause(20);
    }
  }
}

function createRedactor(secrets: string[][]): (text: string) => string {
  // A value may hold several secrets, comma-separated, while one is rotated.
  const names = new Map(
    secrets.flatMap(([name, value]) =>
      [value!, ...value!.split(",").map((part) => part.trim())]
        .filter((part) => part.length >= SHORTEST)
        .map((part) => [part, name!] as const),
    ),
  );
  if (names.size === 0) return (text) => text;
  const longestFirst = [...names.keys()].sort((one, other) => other.length - one.length);
  const any = new RegExp(longestFirst.map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
  return (text) => text.replace(any, (part) => `‹${names.get(part)}›`);
}
