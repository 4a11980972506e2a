import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DaimonError } from "../../base/errors.ts";
import type { Account } from "./account.ts";

/** What `sun_path` of a unix socket holds, without its final zero: 107 bytes on Linux, 103 on macOS. */
const MOST_BYTES = process.platform === "darwin" ? 103 : 107;

/**
 * The folder of the server's socket: `<home>/postgres/socket`, or where that is too deep for a socket's
 * name a folder in the temporary folder, named by a hash of the home. `recorded` is what the running server
 * wrote into `postmaster.pid`: it holds where the temporary folder has changed since. Throws `store.socket`.
 */
export function socketFolder(folder: string, recorded: string | undefined): string {
  const near = join(folder, "socket");
  if (fits(near)) return near;
  const name = `daimon-${createHash("sha256").update(folder).digest("hex").slice(0, 16)}`;
  if (recorded && basename(recorded) === name) return recorded;
  const far = [join(tmpdir(), name), join("/tmp", name)].find(fits);
  if (far) return far;
  throw new DaimonError("store.socket", `"${tmpdir()}" is too deep for a socket.`, "Set TMPDIR to a short path.");
}

/**
 * Makes the socket's folder, open to `uid` alone, and clears what a dead server left in it; to be called when
 * no server answers there. Throws `store.socket` when the folder is somebody else's.
 */
export function makeSocketFolder(folder: string, account: Account): void {
  const { uid } = account;
  if (mkdirSync(folder, { recursive: true, mode: 0o700 })) account.give(folder);
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    const message = `"${folder}" is not a folder that only uid ${uid} can open.`;
    throw new DaimonError("store.socket", message, "Remove it, or set TMPDIR to a folder of your own.");
  }
  for (const name of [".s.PGSQL.5432", ".s.PGSQL.5432.lock"]) rmSync(join(folder, name), { force: true });
}

/** Removes the socket's folder when it stands outside of `<home>/postgres`. */
export function removeFarFolder(folder: string, socket: string): void {
  if (!socket.startsWith(`${folder}/`)) rmSync(socket, { recursive: true, force: true });
}

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, ".s.PGSQL.5432")) <= MOST_BYTES;
}
