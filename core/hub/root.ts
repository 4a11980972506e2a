import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { git, gitFolder, requireGit, standing } from "./git.ts";

const STARTER = join(import.meta.dirname, "starter");

/**
 * Makes sure that `root` is a git repository with a commit: the starter in a missing or empty folder; what is
 * there in a plain one. A repository is left as it is. Throws `hub.git-missing`.
 */
export async function prepareRoot(root: string): Promise<void> {
  requireGit();
  const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (names.length === 0) return makeStarter(root);
  if (gitFolder(root) && (await standing(root))) return;
  await firstCommit(root, "Take this folder as the hub");
}

/** The starter is made beside and moved in whole: a crash or a second process leaves no half of a hub. */
async function makeStarter(root: string): Promise<void> {
  await mkdir(dirname(root), { recursive: true });
  const draft = await mkdtemp(`${root}.new-`);
  try {
    await chmod(draft, 0o755);
    await cp(STARTER, draft, { recursive: true });
    await firstCommit(draft, "Start the hub");
    await moveIn(draft, root);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function moveIn(draft: string, root: string): Promise<void> {
  try {
    await rename(draft, root);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return; // another process was first
    await cp(draft, root, { recursive: true, force: false }); // root is a mount: it cannot be replaced
  }
}

async function firstCommit(root: string, why: string): Promise<void> {
  if (!existsSync(join(root, ".git"))) await git(root, ["init", "--quiet", "-b", "main", "--template="]);
  await git(root, ["add", "--all"]);
  await git(root, ["commit", "--quiet", "--allow-empty", "-m", why]);
}
