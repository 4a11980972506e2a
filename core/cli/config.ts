import { join } from "node:path";
import { ROOT } from "../base/environment.ts";
import type { Config } from "../define/config.ts";

/** The owner's file, which `init` writes the owner into. */
export const CONFIG_FILE: string = join(ROOT, "daimon.config.ts");

/** What is yours and not a secret. */
export async function readConfig(): Promise<Config> {
  const { default: config } = (await import(CONFIG_FILE)) as { default: Config };
  return config;
}
