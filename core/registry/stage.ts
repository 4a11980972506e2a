import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { type Environment, ROOT } from "../base/environment.ts";
import { DaimonError } from "../base/errors.ts";
import { listFiles } from "./files.ts";

const MOST_FILES = 2000;
const MOST_BYTES = 20 * 1024 * 1024;
const PREFIX = ".adding-";

/** A copy beside the installed capabilities, not yet one of them: a folder that begins with a dot is not loaded. */
export interface Staged {
  readonly folder: string;
  readonly files: readonly { path: string; bytes: number }[];
  /** Removes the copy. */
  discard(): Promise<void>;
}

/**
 * Copies a capability out of the catalog (a bare name), a folder (a path) or a git repository (a URL, `#folder` for one
 * within it), with its packages, running no code of it. Throws `add.*`.
 */
export async function stage(from: string, environment: Pick<Environment, "capabilities">): Promise<Staged> {
  await mkdir(environment.capabilities, { recursive: true });
  await sweep(environment.capabilities);
  const place = await mkdtemp(join(environment.capabilities, PREFIX));
  const discard = () => rm(place, { recursive: true, force: true });
  try {
    const source = await find(from, place);
    const folder = join(place, "capability");
    const files = await copyIn(source, folder);
    await installPackages(folder);
    return { folder, files, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Removes what an `add` that was killed left there an hour ago or earlier. */
async function sweep(capabilities: string): Promise<void> {
  for (const name of await readdir(capabilities)) {
    if (!name.startsWith(PREFIX)) continue;
    const old = await stat(join(capabilities, name)).catch(() => null);
    if (old && Date.now() - old.mtimeMs > 3_600_000)
      await rm(join(capabilities, name), { recursive: true, force: true });
  }
}

async function find(from: string, place: string): Promise<string> {
  if (/^(https?|ssh|git|file):\/\/|^[\w.-]+@[\w.-]+:/.test(from))
    return clone(from, join(place, "repository"));
  const isPath = /^[.~]|[\\/]/.test(from);
  const folder = isPath ? resolve(from.replace(/^~(?=\/|$)/, homedir())) : join(ROOT, "catalog", from);
  if (existsSync(join(folder, "index.ts"))) return folder;
  if (isPath) {
    throw new DaimonError(
      "add.missing",
      existsSync(folder) ? `${from} has no index.ts.` : `${from} is not there.`,
      "A capability is a folder with an index.ts: see docs/tutorial.md.",
    );
  }
  const catalog = await readdir(join(ROOT, "catalog"), { withFileTypes: true }).catch(() => []);
  const names = catalog.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  throw new DaimonError(
    "add.unknown",
    `The catalog has no "${from}". It has: ${names.join(", ")}.`,
    existsSync(from)
      ? `For the folder, write: daimon add ./${from}`
      : "A folder is given as ./path, a repository by its URL.",
  );
}

/** Only the last commit, without hooks and submodules. */
async function clone(from: string, target: string): Promise<string> {
  const [url, within = ""] = from.split("#") as [string, string?];
  try {
    await promisify(execFile)(
      "git",
      [
        ...["-c", "core.hooksPath=/dev/null", "-c", "init.templateDir=", "-c", "submodule.recurse=false"],
        ...["clone", "--quiet", "--depth", "1", "--single-branch", "--no-tags", "--no-recurse-submodules"],
        ...["--", url, target],
      ],
      {
        timeout: 120_000,
        env: { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_ALLOW_PROTOCOL: "https:http:ssh:git:file" },
      },
    );
  } catch (error) {
    const reason =
      error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : error;
    throw new DaimonError(
      "add.git",
      `git could not clone ${url}: ${reason}`,
      "Is the address right, and may you read it?",
    );
  }
  const folder = resolve(target, within);
  if (folder !== target && !folder.startsWith(target + sep)) {
    throw new DaimonError(
      "add.outside",
      `"${within}" is outside of the repository.`,
      "Name a folder within it.",
    );
  }
  if (existsSync(join(folder, "index.ts"))) return folder;
  throw new DaimonError(
    "add.missing",
    `${url} has no index.ts in ${within || "its root"}.`,
    "Name the capability's folder after #, like https://…/repository.git#folder.",
  );
}

/** Copies plain files. Refuses links, which could point anywhere, and what is too much to be a capability. */
async function copyIn(source: string, target: string): Promise<{ path: string; bytes: number }[]> {
  const files = await listFiles(source);
  if (files.length > MOST_FILES) throw tooLarge(`${files.length} files`);
  const copied: { path: string; bytes: number }[] = [];
  let total = 0;
  for (const path of files) {
    const { size } = await plainFile(source, path);
    total += size;
    if (total > MOST_BYTES) throw tooLarge("more than 20 MiB");
    await mkdir(dirname(join(target, path)), { recursive: true });
    await copyFile(join(source, path), join(target, path));
    copied.push({ path, bytes: size });
  }
  return copied;
}

async function plainFile(folder: string, path: string) {
  const found = await lstat(join(folder, path));
  if (found.isFile()) return found;
  throw new DaimonError(
    "add.link",
    `${path} is a link or a special file.`,
    "A capability is made of plain files: put a copy there.",
  );
}

const tooLarge = (what: string) =>
  new DaimonError(
    "add.large",
    `It has ${what}, which is too much for a capability.`,
    "Leave out what it does not need.",
  );

/** `npm ci` as its lock file says, without running any script of a package. */
async function installPackages(folder: string): Promise<void> {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) return;
  const { dependencies = {} } = JSON.parse(await readFile(manifest, "utf8")) as { dependencies?: object };
  if (Object.keys(dependencies).length === 0) return;
  if (!existsSync(join(folder, "package-lock.json"))) {
    throw new DaimonError(
      "add.lock",
      "Its package.json names dependencies, but it has no package-lock.json.",
      "Run `npm install` in its folder once, and keep the lock file with it.",
    );
  }
  try {
    const flags = [
      "--ignore-scripts",
      "--omit=dev",
      "--no-bin-links",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
    ];
    await promisify(execFile)("npm", ["ci", ...flags], { cwd: folder, timeout: 300_000 });
  } catch (error) {
    const reason =
      error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n")[0] : error;
    throw new DaimonError(
      "add.packages",
      `npm ci could not install its packages: ${reason}`,
      "Run it in its folder to see why.",
    );
  }
  const packages = join(folder, "node_modules");
  for (const path of await listFiles(packages, true)) await plainFile(packages, path);
}
