import { existsSync, realpathSync } from "node:fs";
import { readdir, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type { Environment } from "../base/environment.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Failure } from "../define/run.ts";
import { parseAgent } from "./agents.ts";
import { fingerprint, listFiles } from "./files.ts";
import { guardImports } from "./imports.ts";
import type { Installed, Refused, Registry, Sample } from "./registry.ts";
import { checkCapability, checkName, checkSecrets, claimNames } from "./rules.ts";
import { parseCapability } from "./shape.ts";
import { listenForStrays } from "./strays.ts";
import { startWatchdog } from "./watchdog.ts";

/** How long a capability's `index.ts` may take to be imported. */
const IMPORT_MILLISECONDS = 5000;

/**
 * Imports and checks each capability of `folder`, one after another, so that one that never ends can be named. One that
 * fails is refused with a sentence and the rest is loaded. Where two want one name, the first in the alphabet has it: `taken` tells who has `"tool save_idea"`.
 */
export async function loadCapabilities(
  folder: string,
  environment: Pick<Environment, "values" | "envFile">,
  now: Date = new Date(),
): Promise<Registry & { readonly taken: ReadonlyMap<string, string> }> {
  const refused: Refused[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => {
    refused.push({ name: basename(folder), folder, problem: toFailure(unreadable(error)) });
    return [];
  });
  const names = entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !/^\.|^node_modules$/.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  const strays = new Map<string, Error>();
  const stopListening = listenForStrays((home, error) => strays.set(home, error));
  const loaded: (Installed | Failure)[] = [];
  const watchdog = startWatchdog();
  for (const name of names) {
    watchdog.watch(join(folder, name));
    loaded.push(await loadCapability(join(folder, name), now).catch((error: unknown) => toFailure(error)));
  }
  watchdog.stop();
  // A rejection that nobody awaits is told of a turn later.
  await new Promise(setImmediate);
  stopListening();

  const installed: Installed[] = [];
  const taken = new Map<string, string>();
  for (const [place, name] of names.entries()) {
    const outcome = loaded[place]!;
    try {
      if ("code" in outcome) throw new DaimonError(outcome.code, outcome.message, outcome.next);
      const stray = strays.get(realpathSync(outcome.folder));
      if (stray) throw importFailure(stray, realpathSync(outcome.folder));
      checkName(outcome.capability, name);
      claimNames({ ...outcome.capability, agents: outcome.agents.map((agent) => agent.name) }, taken);
      checkSecrets(outcome.capability.secrets ?? [], environment);
      installed.push(outcome);
    } catch (error) {
      refused.push({ name, folder: join(folder, name), problem: toFailure(error) });
    }
  }
  return { installed, refused, taken };
}

const unreadable = ({ message }: Error) =>
  new DaimonError(
    "capability.folder",
    `Nothing is installed, because the folder of capabilities cannot be read: ${message}.`,
    "Make it, or set DAIMON_CAPABILITIES to another.",
  );

/**
 * One capability, checked by itself; names that others have and secrets are not looked at.
 * Throws `capability.*`, `cron.*`.
 */
export async function loadCapability(folder: string, now: Date): Promise<Installed> {
  const next = "Write one, or move the folder away from the capabilities.";
  if (!existsSync(join(folder, "index.ts")))
    throw new DaimonError("capability.no-index", `${basename(folder)}/ has no index.ts.`, next);
  const files = await listFiles(folder);
  const [capability, version] = await Promise.all([
    importDefault(folder).then(parseCapability),
    fingerprint(folder, files),
  ]);
  checkCapability(capability, now);
  const agentFiles = files.filter((file) => dirname(file) === "agents" && file.endsWith(".md"));
  const agents = agentFiles.map(async (file) => parseAgent(await readFile(join(folder, file), "utf8"), file));
  const skills = join(folder, "skills");
  return {
    capability,
    folder,
    version,
    agents: await Promise.all(agents),
    skillFolder: existsSync(skills) ? skills : null,
    samples: samplesOf(folder, files, capability.webhooks?.map((webhook) => webhook.source) ?? []),
  };
}

async function importDefault(link: string): Promise<unknown> {
  const folder = await realpath(link);
  guardImports(folder);
  const slow = new DaimonError(
    "capability.slow",
    `index.ts was not imported within ${IMPORT_MILLISECONDS / 1000} seconds.`,
    "Await nothing at the top of a module: do it in a handler.",
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, IMPORT_MILLISECONDS, slow);
  });
  try {
    const url = pathToFileURL(join(folder, "index.ts")).href;
    return await Promise.race([import(url).then((module: { default?: unknown }) => module.default), late]);
  } catch (error) {
    throw error instanceof DaimonError ? error : importFailure(error, folder);
  } finally {
    clearTimeout(timer);
  }
}

/** What was thrown on import, with the file and line of the capability where they are known. */
export function importFailure(cause: unknown, folder: string): DaimonError {
  const error: NodeJS.ErrnoException = cause instanceof Error ? cause : new Error(String(cause));
  const home = `${pathToFileURL(folder).href}/`;
  const words = error.message.replaceAll(home, "").replaceAll(`${folder}/`, "").split("\n")[0]!;
  if (error.code?.endsWith("MODULE_NOT_FOUND")) {
    const next = "Is the file there, and are its packages installed (npm ci)?";
    return new DaimonError("capability.import", `${words}.`, next);
  }
  const [, line] = (error.stack ?? "").split(home, 2);
  const where = /^[^\s)]+?:\d+/.exec(line ?? "")?.[0];
  const message = `index.ts threw when it was imported: ${error.name}: ${words}${where ? ` (${where})` : ""}.`;
  return new DaimonError("capability.threw", message, "Mend it, then start again.", { cause });
}

/**
 * `samples/<type>.json` is of the first webhook; `samples/<source>/<type>.json` of the one it names. A type with a `/` in
 * it (`orders/create`) is a file in a folder.
 */
function samplesOf(folder: string, files: readonly string[], sources: readonly string[]): Sample[] {
  const samples = files.flatMap((file) => {
    const [top, ...names] = file.split(sep);
    if (top !== "samples" || !file.endsWith(".json") || !sources[0]) return [];
    const source = names.length > 1 ? sources.find((one) => one === names[0]) : undefined;
    const type = names
      .slice(source ? 1 : 0)
      .join("/")
      .slice(0, -".json".length);
    return [{ source: source ?? sources[0], type, file: join(folder, file) }];
  });
  return samples.sort((one, other) => sources.indexOf(one.source) - sources.indexOf(other.source));
}
