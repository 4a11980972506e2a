import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { type Environment, ROOT } from "../base/environment.ts";
import { attempt, DaimonError } from "../base/errors.ts";
import { listFiles } from "./files.ts";

const MOST_FILES = 2000;
const MOST_BYTES = 20 * 1024 * 1024;

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
export async function stage(from: string, { capabilities }: Pick<Environment, "capabilities">): Promise<Staged> {
  await mkdir(capabilities, { recursive: true });
  await sweep(capabilities);
  const place = await mkdtemp(join(capabilities, ".adding-"));
  const discard = () => rm(place, { recursive: true, force: true });
  try {
    const folder = join(place, "capability");
    const files = await copyPlain(await find(from, place), folder);
    await installPackages(folder);
    return { folder, files, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Removes what an `add` or a `remove` that was killed left there an hour ago or earlier. */
async function sweep(capabilities: string): Promise<void> {
  for (const name of await readdir(capabilities)) {
    const left = join(capabilities, name);
    const old = /^\.(adding|removing)-/.test(name) && Date.now() - (await stat(left)).mtimeMs > 3_600_000;
    if (old) await rm(left, { recursive: true, force: true });
  }
}

async function find(from: string, place: string): Promise<string> {
  if (/^(https?|ssh|git|file):\/\/|^[\w.-]+@[\w.-]+:/.test(from)) return await clone(from, join(place, "repository"));
  const isPath = /^[.~]|[\\/]/.test(from);
  const folder = isPath ? resolve(from.replace(/^~(?=\/|$)/, homedir())) : join(ROOT, "catalog", from);
  if (existsSync(join(folder, "index.ts"))) return folder;
  const next = `A folder is given as ./${isPath ? "path" : from}, with an index.ts in it; a repository by its URL.`;
  if (isPath) throw fail("missing", `There is no index.ts in ${folder}.`, next);
  const names = (await readdir(join(ROOT, "catalog"))).join(", ");
  throw fail("unknown", `The catalog has no "${from}". It has: ${names}.`, next);
}

/** Only the last commit, without hooks and submodules. */
async function clone(from: string, target: string): Promise<string> {
  const [url, within = ""] = from.split("#") as [string, string?];
  const folder = resolve(target, within);
  if (!`${folder}${sep}`.startsWith(target + sep))
    throw fail("outside", `"${within}" is outside of the repository.`, "Name a folder within it.");
  const settings = ["core.hooksPath=/dev/null", "submodule.recurse=false"].flatMap((one) => ["-c", one]);
  const words = ["clone", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--template="];
  const environment = { GIT_TERMINAL_PROMPT: "0", GIT_ALLOW_PROTOCOL: "https:http:ssh:git:file" };
  await run("git", [...settings, ...words, "--", url, target], environment).catch((error) => {
    throw fail("git", `git could not clone ${url}: ${reasonOf(error)}`, "Is it right, and may you read it?");
  });
  if (existsSync(join(folder, "index.ts"))) return folder;
  const next = "Name the capability's folder after #, like https://…/repository.git#folder.";
  throw fail("missing", `There is no index.ts in ${within || "the root"} of ${url}.`, next);
}

/** Copies plain files. Refuses links, which could point anywhere, and what is too much to be a capability. */
async function copyPlain(source: string, target: string): Promise<{ path: string; bytes: number }[]> {
  const files = await sizesOf(source, await listFiles(source));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (files.length > MOST_FILES || bytes > MOST_BYTES) {
    const size = `${files.length} files of ${Math.ceil(bytes / 1024 / 1024)} MiB`;
    throw fail("large", `It has ${size}, which is too much.`, "Leave out what it does not need.");
  }
  for (const { path } of files) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await copyFile(join(source, path), join(target, path));
  }
  return files;
}

async function sizesOf(folder: string, paths: readonly string[]): Promise<{ path: string; bytes: number }[]> {
  const found = await Promise.all(paths.map((path) => lstat(join(folder, path))));
  const odd = found.findIndex((one) => !one.isFile());
  if (odd >= 0) throw fail("link", `${paths[odd]} is a link or a special file.`, "Put a copy of the file there.");
  return paths.map((path, place) => ({ path, bytes: found[place]!.size }));
}

/** `npm ci` as its lock file says, without running any script of a package. */
async function installPackages(folder: string): Promise<void> {
  const manifest = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
  const { dependencies = {} } = readManifest(manifest);
  if (Object.keys(dependencies).length === 0) return;
  if (!existsSync(join(folder, "package-lock.json"))) {
    const next = "Run `npm install` in its folder once, and keep the lock file with it.";
    throw fail("lock", "Its package.json names dependencies, but it has no package-lock.json.", next);
  }
  const flags = ["--ignore-scripts", "--omit=dev", "--no-bin-links", "--no-audit", "--no-fund"];
  await run("npm", ["ci", "--prefix", folder, "--loglevel=error", ...flags]).catch((error) => {
    throw fail("packages", `npm ci could not install its packages: ${reasonOf(error)}`);
  });
  const packages = join(folder, "node_modules");
  await sizesOf(packages, await listFiles(packages, true));
}

function readManifest(text: string): { dependencies?: object } {
  const odd = (why: string) => fail("packages", `Its package.json is not JSON: ${why}.`, "Mend it, then try again.");
  return attempt(() => JSON.parse(text), odd);
}

const run = (program: string, words: string[], environment: Record<string, string> = {}) =>
  promisify(execFile)(program, words, { timeout: 300_000, env: { ...process.env, ...environment } });
/** The first line that tells something; npm begins with a code. */
const reasonOf = (error: { stderr?: string; message: string }) =>
  (error.stderr || error.message)
    .split("\n")
    .find((line) => /\S/.test(line) && !/^npm error code|^npm error$/.test(line));
const fail = (code: string, message: string, next?: string) => new DaimonError(`add.${code}`, message, next);
