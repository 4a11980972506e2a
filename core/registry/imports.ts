import { realpathSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ROOT } from "../base/environment.ts";
import { DaimonError } from "../base/errors.ts";

const DAIMON = pathToFileURL(`${ROOT}/core/define/daimon.ts`).href;
/** Real paths of the folders whose modules are held to the rule. Node keeps one list of hooks a process, so we do too. */
const guarded = new Set<string>();

/**
 * From now on the modules below `folder` may import `"daimon"`, their own folder and the packages in its own
 * `node_modules`, and nothing else, by `import`, `import()` and `require` alike; anything else throws
 * `capability.import`. A rule of the house, not a jail: a capability's code runs with the owner's rights.
 */
export function guardImports(folder: string): void {
  if (guarded.size === 0) registerHooks({ resolve });
  guarded.add(realpathSync(folder));
}

const resolve: Parameters<typeof registerHooks>[0]["resolve"] = (specifier, context, next) => {
  const importer = context.parentURL?.startsWith("file:") ? fileURLToPath(context.parentURL) : "";
  const folder = importer && guardedFolder(importer);
  if (!folder) return next(specifier, context);
  if (specifier === "daimon") return next(DAIMON, context);
  const isPackage = importer.startsWith(`${folder}${sep}node_modules${sep}`);
  const check = (url: string) => {
    if (url.startsWith("node:") ? isPackage : isBelow(url, folder)) return;
    throw new DaimonError(
      "capability.import",
      `${relative(folder, importer)} imports "${specifier}", which a capability may not.`,
      'Import "daimon" (which brings z), files of the own folder, and packages in its own node_modules.',
    );
  };
  // A file outside is not looked for, so that nobody is told to put one there.
  if (/^\.{0,2}\//.test(specifier)) check(new URL(specifier, context.parentURL).href);
  const found = next(specifier, context);
  check(found.url);
  return found;
};

/** The guarded folder that `path` lies in. */
export function guardedFolder(path: string): string | undefined {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) if (guarded.has(at)) return at;
  return undefined;
}

const isBelow = (url: string, folder: string) => url.startsWith("file:") && fileURLToPath(url).startsWith(folder + sep);
