import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseEnv } from "node:util";
import { DaimonError } from "./errors.ts";

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

/** Reads the environment and `home/.env`; the environment wins. Throws `config.port`. */
export function readEnvironment(processEnvironment: NodeJS.ProcessEnv = process.env): Environment {
  const home = resolve(processEnvironment.DAIMON_HOME || join(ROOT, "home"));
  const file = join(home, ".env");
  const values = { ...(existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {}), ...processEnvironment };
  const port = Number(values.PORT || 4242);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new DaimonError(
      "config.port",
      `PORT is "${values.PORT}", which is not a port.`,
      "Set PORT to a number from 1 to 65535.",
    );
  }
  return {
    home,
    envFile: shortest(file),
    capabilities: resolve(values.DAIMON_CAPABILITIES || join(ROOT, "capabilities")),
    databaseUrl: values.DATABASE_URL || undefined,
    port,
    host: values.HOST || "127.0.0.1",
    values,
  };
}

function shortest(file: string): string {
  const near = relative(process.cwd(), file);
  return near.startsWith("..") ? file : near;
}
