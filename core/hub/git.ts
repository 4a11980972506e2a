import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
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
export function git(
  root: string,
  words: readonly string[],
  input?: Uint8Array | string,
  more?: Record<string, string>,
): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn("git", [...SETTINGS, ...words], {
      cwd: root,
      env: { ...environment(), ...more },
      windowsHide: true,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => out.push(piece));
    child.stderr.on("data", (piece: Buffer) => err.push(piece));
    child.stdin.on("error", () => {}); // git went away early: its exit code tells more
    child.on("error", (error: NodeJS.ErrnoException) =>
      failed(error.code === "ENOENT" && existsSync(root) ? gitMissing() : error),
    );
    child.on("close", (code, signal) => {
      if (code === 0) return done(Buffer.concat(out).toString());
      const said = Buffer.concat(err).toString().trim() || `it ended with ${signal ?? code}`;
      failed(
        new DaimonError(
          "hub.git",
          `git ${words[0]} failed in the hub: ${said.slice(0, 600)}`,
          `Look at it with: git -C ${root} status`,
        ),
      );
    });
    child.stdin.end(input);
  });
}

/** Throws `hub.git-missing` when no `git` is on the PATH; starts no process. */
export function requireGit(): void {
  const names = process.platform === "win32" ? ["git.exe", "git.cmd"] : ["git"];
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return;
      } catch {}
    }
  }
  throw gitMissing();
}

/** The `.git` folder of the repository at `root`, also when `.git` is a file that names it; null when there is none. */
export function gitFolder(root: string): string | null {
  const place = join(root, ".git");
  const found = statSync(place, { throwIfNoEntry: false });
  if (!found) return null;
  if (found.isDirectory()) return place;
  const named = /^gitdir: (.*)$/m.exec(readFileSync(place, "utf8"));
  return named ? resolve(root, named[1]!.trim()) : null;
}

/** The id HEAD stands on; null in a repository without a commit. Read from the files where they tell it. */
export async function head(root: string, folder: string): Promise<string | null> {
  const read = (file: string) => {
    try {
      return readFileSync(join(folder, file), "utf8").trim();
    } catch {
      return "";
    }
  };
  const [, branch] = /^ref: (.+)$/u.exec(read("HEAD")) ?? [];
  const loose = branch ? read(branch) : "";
  if (/^[0-9a-f]{40,64}$/u.test(loose)) return loose;
  const asked = await git(root, ["rev-parse", "--verify", "--quiet", "HEAD"]).catch(() => "");
  return asked.trim() || null;
}

function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  return {
    ...Object.fromEntries(kept),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_DEFAULT_HASH: "sha1",
    GIT_DEFAULT_REF_FORMAT: "files",
    LC_ALL: "C",
  };
}

function gitMissing(): DaimonError {
  return new DaimonError(
    "hub.git-missing",
    "The hub is kept in git, and there is no git on this machine's PATH.",
    "Install git (Debian: apt install git; macOS: xcode-select --install), then start again.",
  );
}
