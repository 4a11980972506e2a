import { type ExecFileException, execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";
import { DaimonError } from "../base/errors.ts";

/**
 * What keeps git independent of the machine: no global or system configuration, no hooks, no signing, no
 * questions, and objects that survive a power cut.
 */
const SETTINGS = [
  "user.name=Daimon",
  "user.email=daimon@localhost",
  "commit.gpgsign=false",
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.excludesFile=/dev/null",
  "core.attributesFile=/dev/null",
  "core.quotePath=false",
  "core.fsync=committed,loose-object,reference",
  "safe.directory=*",
].flatMap((setting) => ["-c", setting]);

/** Runs git in `root` and returns what it printed. Throws `hub.git` with git's own words, or `hub.git-missing`. */
export async function git(
  root: string,
  words: readonly string[],
  input?: Uint8Array | string,
  more: Record<string, string> = {},
): Promise<string> {
  const options = { cwd: root, env: { ...environment(), ...more }, maxBuffer: Number.POSITIVE_INFINITY };
  const running = promisify(execFile)("git", [...SETTINGS, ...words], options);
  running.child.stdin?.on("error", () => {}).end(input); // git went away early: its exit code tells more
  try {
    return (await running).stdout;
  } catch (error) {
    const { code, signal, stderr } = error as ExecFileException;
    if (typeof code === "string") throw existsSync(root) ? gitMissing(error as Error) : error;
    const reason = stderr?.trim().slice(0, 600) || `it ended with ${signal ?? code}`;
    const next = `Look at it with: git -C ${root} status`;
    throw new DaimonError("hub.git", `git ${words[0]} failed in the hub: ${reason}`, next);
  }
}

/** Throws `hub.git-missing` when no `git` is on the PATH; starts no process. */
export function requireGit(): void {
  const name = process.platform === "win32" ? "git.exe" : "git";
  const folders = (process.env.PATH ?? "").split(delimiter);
  if (!folders.some((folder) => existsSync(join(folder, name)))) throw gitMissing();
}

/** The `.git` folder of the repository at `root`, also when `.git` is a file that names it; null when there is none. */
export function gitFolder(root: string): string | null {
  const place = join(root, ".git");
  const found = statSync(place, { throwIfNoEntry: false });
  if (!found || found.isDirectory()) return found ? place : null;
  const named = /^gitdir: (.*)$/m.exec(readFileSync(place, "utf8"));
  return named ? resolve(root, named[1]!.trim()) : null;
}

/** The commit that HEAD stands on and the branch it names; null before the first commit. */
export async function standing(root: string): Promise<{ base: string; branch: string } | null> {
  const said = await git(root, ["rev-parse", "HEAD", "--symbolic-full-name", "HEAD"]).catch(() => "");
  const [base, branch] = said.split("\n");
  return base && branch ? { base, branch } : null;
}

/** The machine's environment without what another git, of a hook or a shell, left in it. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  return {
    ...Object.fromEntries(kept),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    LC_ALL: "C",
  };
}

function gitMissing(cause?: Error): DaimonError {
  return new DaimonError(
    "hub.git-missing",
    "The hub is kept in git, and there is no git on this machine's PATH.",
    "Install git (Debian: apt install git; macOS: xcode-select --install), then start again.",
    { cause },
  );
}
