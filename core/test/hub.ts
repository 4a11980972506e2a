import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { openLog } from "../base/log.ts";
import { type Hub, openHub } from "../hub/hub.ts";

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "daimon-hub-")));
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** A hub of its own: the starter, or what stands at `root`; closed and removed after the test. */
export async function testHub(
  t: TestContext,
  options: { home?: string; skillFolders?: string[] } = {},
): Promise<{ hub: Hub; root: string; home: string; git: (...words: string[]) => string }> {
  const home = options.home ?? temporaryFolder(t);
  const root = join(home, "hub");
  const log = openLog({ file: join(home, "log") });
  const { skillFolders } = options;
  const hub = await openHub({
    root,
    cache: join(home, "cache"),
    log,
    clock: systemClock,
    ...(skillFolders ? { skillFolders } : {}),
  });
  t.after(() => hub.close());
  return { hub, root, home, git: (...words) => askGit(root, ...words) };
}

/** What git says in `root`, as the owner would ask it, with a name of its own and nothing of this machine. */
export function askGit(root: string, ...words: string[]): string {
  const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "safe.directory=*"];
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    LC_ALL: "C",
  };
  return execFileSync("git", [...who, ...words], { cwd: root, env, encoding: "utf8", stdio: "pipe" });
}
