import { execFile } from "node:child_process";
import { chownSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { DaimonError } from "../../base/errors.ts";

const execute = promisify(execFile);

/** What root runs Postgres as when it must step down and nobody else owns the home: `nobody`. */
const NOBODY = 65534;

/** As whom Postgres is run; it refuses to be root. */
export interface Account {
  /** The program and arguments to start instead of `file` and `parameters`, and the ids to start them with. */
  command(
    file: string,
    parameters: string[],
  ): { file: string; parameters: string[]; ids: { uid?: number; gid?: number } };
  /** Who owns the files, as seen from outside. */
  readonly uid: number;
}

/**
 * Chooses the account: an ordinary user is himself. Root stays root to the files and is uid 65534 to
 * Postgres, in a user namespace; where that is refused (containers with a strict seccomp profile) or cannot
 * reach the folder, root steps down to who owns the data, else the home, else to nobody.
 * Throws `store.owner` when the data is another user's, `store.root` when root finds no way.
 */
export async function chooseAccount(options: {
  postgres: string;
  home: string;
  folder: string;
  data: string;
}): Promise<Account> {
  const self = process.getuid?.() ?? -1;
  const owner = statSync(options.data, { throwIfNoEntry: false })?.uid;
  if (self !== 0) {
    if (owner !== undefined && self !== -1 && owner !== self) {
      throw new DaimonError(
        "store.owner",
        `The database in "${options.data}" belongs to uid ${owner}, and this is uid ${self}.`,
        "Start Daimon as the user who started it first, or give the home to this user with chown -R.",
      );
    }
    return { uid: self, command: (file, parameters) => ({ file, parameters, ids: {} }) };
  }
  if ((owner === undefined || owner === 0) && (await reaches(namespaced, options))) {
    return { uid: 0, command: namespaced };
  }
  const uid = owner || statSync(options.home).uid || NOBODY;
  const command = steppedDown(uid);
  chownSync(options.folder, uid, uid === NOBODY ? NOBODY : statSync(options.home).gid);
  if (owner !== 0 && (await reaches(command, options))) return { uid, command };
  throw new DaimonError(
    "store.root",
    `Postgres does not run as root, and here it can reach "${options.folder}" neither in a user namespace nor as uid ${uid}.`,
    "Run Daimon as an ordinary user, allow user namespaces (unshare -U), or set DATABASE_URL.",
  );
}

function namespaced(file: string, parameters: string[]) {
  return { file: "unshare", parameters: ["-U", `--map-user=${NOBODY}`, "--", file, ...parameters], ids: {} };
}

function steppedDown(uid: number): Account["command"] {
  return (file, parameters) => ({ file, parameters, ids: { uid, gid: uid } });
}

async function reaches(
  command: Account["command"],
  { postgres, folder }: { postgres: string; folder: string },
): Promise<boolean> {
  const { file, parameters, ids } = command("test", ["-x", postgres, "-a", "-w", folder]);
  return execute(file, parameters, { cwd: "/", ...ids }).then(
    () => true,
    () => false,
  );
}
