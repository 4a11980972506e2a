import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { DaimonError } from "../base/errors.ts";

/** The files below `folder`, relative and sorted, without `.git` and, unless `packages`, without `node_modules`. */
export async function listFiles(folder: string, packages = false): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      if (entry.name === ".git" || (entry.name === "node_modules" && !packages)) return [];
      if (!entry.isDirectory()) return [entry.name];
      return (await listFiles(join(folder, entry.name), packages)).map((file) => join(entry.name, file));
    }),
  );
  return found.flat().sort();
}

/** What a run's handler can depend on: code, packages by their lock file, agents, skills; not samples, tests, READMEs. */
const isSource = (file: string) =>
  !file.startsWith(`samples${sep}`) && !/(\.test\.[a-z]+|README\.md|LICENSE)$/.test(file);

function refuse(file: string, error: NodeJS.ErrnoException): never {
  if (error.code !== "EISDIR") throw error;
  const message = `${file} is a link to a folder, in which code would change unseen.`;
  throw new DaimonError("capability.link", message, "Put the folder itself there.");
}

/** SHA-256 over names and bytes of a capability's source files: another one means that its code changed. */
export async function fingerprint(folder: string, files?: readonly string[]): Promise<string> {
  const sources = (files ?? (await listFiles(folder))).filter(isSource);
  const bytes = await Promise.all(
    sources.map((file) => readFile(join(folder, file)).catch((error) => refuse(file, error))),
  );
  const hash = createHash("sha256");
  for (const [place, file] of sources.entries()) {
    hash.update(`${file}\0${bytes[place]!.length}\0`).update(bytes[place]!);
  }
  return hash.digest("hex").slice(0, 16);
}
