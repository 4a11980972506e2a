import { accessSync, constants, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseEnv } from "node:util";
import { attempt, DaimonError } from "./errors.ts";

/** All that the process is told from outside; read once, here, and passed on. */
export interface Environment {
  /** Where all that lives is. */
  readonly home: string;
  /** `home/.env`, as its owner finds it from where the process was started. */
  readonly envFile: string;
  /** The folder of installed capabilities. */
  readonly capabilities: string;
  readonly databaseUrl: string | undefined;
  readonly port: number;
  readonly host: string;
  /** `home/.env` below the process's own environment: secrets and keys by name. */
  readonly values: Readonly<Record<string, string | undefined>>;
}

/** The repository's root: where package.json stands. */
export const ROOT = resolve(import.meta.dirname, "../..");

/** Reads the environment and `home/.env`; the environment wins. Throws `config.number`, `config.env`. */
export function readEnvironment(processEnvironment: NodeJS.ProcessEnv = process.env): Environment {
  const home = resolve(processEnvironment.DAIMON_HOME || join(ROOT, "home"));
  const file = join(home, ".env");
  // After a name with nothing but blanks Node would take the next line for its value.
  const parse = (text: string) => parseEnv(text.replace(/^\uFEFF/, "").replace(/=[ \t\r]+$/gm, "="));
  const read = () => (existsSync(file) ? parse(readFileSync(file, "utf8")) : {});
  const next = "Make it a file that you may read.";
  const kept = attempt(read, (why) => new DaimonError("config.env", `${file} cannot be read: ${why}.`, next));
  const values = { ...kept, ...processEnvironment };
  return {
    home,
    envFile: shortest(file),
    capabilities: resolve(values.DAIMON_CAPABILITIES || join(ROOT, "capabilities")),
    databaseUrl: values.DATABASE_URL || undefined,
    port: readNumber(values, "PORT", 4242, 65_535),
    host: values.HOST || "127.0.0.1",
    values,
  };
}

/** The whole number that `name` is set to, from 0 to `most`; without it `usual`. Throws `config.number`. */
export function readNumber(values: Environment["values"], name: string, usual: number, most = 2 ** 31 - 1): number {
  const told = values[name]?.trim() || String(usual);
  if (/^\d+$/.test(told) && Number(told) <= most) return Number(told);
  const message = `${name} is "${told}", which is not a whole number from 0 to ${most}.`;
  throw new DaimonError("config.number", message, `Write it like ${name}=${usual}, or leave it out.`);
}

/** Makes the home where there is none yet. Throws `home.unusable`. */
export function makeHome(home: string): void {
  const make = () => {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    accessSync(home, constants.R_OK | constants.W_OK | constants.X_OK);
  };
  const next = "Set DAIMON_HOME to a folder that you may write into.";
  attempt(make, (why) => new DaimonError("home.unusable", `The home ${home} cannot be used: ${why}.`, next));
}

function shortest(file: string): string {
  const near = relative(process.cwd(), file);
  return near.startsWith("..") ? file : near;
}
