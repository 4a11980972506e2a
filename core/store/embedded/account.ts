import { execFile } from "node:child_process";
import { chmodSync, chownSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { promisify } from "node:util";
import { DaimonError } from "../../base/errors.ts";

const execute = promisify(execFile);

/** `nobody`: who Postgres believes to be in a user namespace, and whom root steps down to at last. */
const NOBODY = 65534;

interface Command {
  readonly file: string;
  readonly parameters: string[];
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

/** As whom Postgres is run; it refuses to be root. */
export interface Account {
  /** Who owns the files, as seen from outside. */
  readonly uid: number;
  /** What to start instead of this program, and the ids to start it with. */
  command(file: string, parameters: string[]): Command;
  /** Gives a file of ours to the account. */
  give(path: string): void;
}

/**
 * Chooses the account. An ordinary user is himself (one without a name, as in some containers, takes nobody's
 * in a user namespace, because initdb wants a name). Root stays root to the files and is uid 65534 to
 * Postgres, by a user namespace; where that is refused (containers with a strict seccomp profile) or cannot
 * reach the folder (another user's 0700 folder), root steps down to who owns the data, else the home, else
 * to nobody, for whom a home of root's is opened to pass through (`chmod o+x`).
 * Throws `store.owner` when the data is another user's, `store.root` when root finds no way.
 */
export async function chooseAccount(
  binary: string,
  place: { home: string; folder: string; data: string },
): Promise<Account> {
  const self = process.getuid?.() ?? -1;
  const owner = statSync(place.data, { throwIfNoEntry: false })?.uid;
  if (self !== 0) {
    if (owner !== undefined && owner !== self) throw ownedBy(place.data, owner, self);
    const account = { uid: self, command: itself, give: () => {} };
    if (hasName()) return account;
    return (await reaches(namespaced, binary, place.folder)) ? { ...account, command: namespaced } : account;
  }
  if (!owner && (await reaches(namespaced, binary, place.folder))) {
    return { uid: 0, command: namespaced, give: () => {} };
  }
  const account = stepDown(owner, place);
  if (owner !== 0 && (await reaches(account.command, binary, place.folder))) return account;
  throw new DaimonError(
    "store.root",
    `Postgres does not run as root, and from here it can reach its program and "${place.folder}" neither in a user namespace (unshare -U) nor as uid ${account.uid}.`,
    "Run Daimon as an ordinary user, move it to where every user may read, or set DATABASE_URL.",
  );
}

/** The refusal of a folder that is another user's. */
export function ownedBy(path: string, owner: number | string, self: number): DaimonError {
  return new DaimonError(
    "store.owner",
    `The database in "${path}" belongs to uid ${owner}, and this is uid ${self}.`,
    "Start Daimon as the user who started it first, or give the home to this user with chown -R.",
  );
}

function itself(file: string, parameters: string[]): Command {
  return { file, parameters, ids: {} };
}

function hasName(): boolean {
  try {
    return userInfo().username !== "";
  } catch {
    return false;
  }
}

function namespaced(file: string, parameters: string[]): Command {
  return { file: "unshare", parameters: ["-U", `--map-user=${NOBODY}`, "--", file, ...parameters], ids: {} };
}

function stepDown(owner: number | undefined, place: { home: string; folder: string }): Account {
  const home = statSync(place.home);
  const uid = owner || home.uid || NOBODY;
  const gid = uid === home.uid ? home.gid : uid;
  if (home.uid === 0) chmodSync(place.home, home.mode | 0o001);
  if (owner !== 0) chownSync(place.folder, uid, gid);
  return {
    uid,
    command: (file, parameters) => ({ file, parameters, ids: { uid, gid } }),
    give: (path) => chownSync(path, uid, gid),
  };
}

/** Whether the account may run the program and write into the folder. */
function reaches(command: Account["command"], binary: string, folder: string): Promise<boolean> {
  const { file, parameters, ids } = command("test", ["-x", binary, "-a", "-w", folder]);
  return execute(file, parameters, { cwd: "/", ...ids }).then(
    () => true,
    () => false,
  );
}
