import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { HubAccess } from "../define/context.ts";
import { type Label, OWNER } from "../define/label.ts";
import type { Author } from "./commits.ts";
import { labelOfFile } from "./front-matter.ts";
import { isKnown, openMap } from "./map.ts";
import { cleanPath, locate, refuseArchive } from "./paths.ts";
import { type HubText, readHub } from "./read.ts";
import { prepareRoot } from "./root.ts";
import { openSearch } from "./search.ts";
import { openSkills, type Skill } from "./skills.ts";
import { openWrites, type Written } from "./writes.ts";

export type { Author } from "./commits.ts";
export type { Skill } from "./skills.ts";

/** The context: Markdown in git, in tiers. Paths are relative to `root`; archive/ is out of reach. */
export interface Hub extends Pick<HubAccess, "map" | "search"> {
  readonly root: string;
  /** Also lines, `file.md:12-31`, a folder (its overview and a list), and a skill's resources. */
  read(path: string, options?: { budget?: number }): Promise<HubText>;
  /** Creates a file and commits it. Throws `hub.exists`, `hub.identity`, … */
  create(path: string, text: string, why: string, author: Author): Promise<Written>;
  /** Appends to a file, creating it when missing, and commits it. */
  append(path: string, text: string, why: string, author: Author): Promise<Written>;
  /** The commit that already did this step, when there is one among the last thousand. */
  written(author: Author): Promise<Written | null>;
  /** identity/soul.md, or ''. */
  soul(): Promise<string>;
  skills(): Promise<Skill[]>;
  /** A skill's instructions and the list of its resources. Throws `skill.unknown`. */
  readSkill(name: string): Promise<string>;
  /**
   * How far what stands at `path` is trusted, and how private it is: as the note's front matter says. A folder is
   * as untrusted as any note in it, and any folder that strangers' notes made: their names may be strangers' words;
   * and as secret as its overview.
   */
  label(path: string): Promise<Label>;
  close(): Promise<void>;
}

const DEFAULT_SEARCH_BUDGET = 1500;

/**
 * Opens the hub at `root`, making it from the starter when it is missing. The search index below `cache` is built
 * on the first search. Throws `hub.git-missing`.
 */
export async function openHub(options: {
  root: string;
  cache: string;
  log: Log;
  clock: Clock;
  /** Folders that hold a folder for each skill of a capability. */
  skillFolders?: string[];
}): Promise<Hub> {
  const { log, clock } = options;
  await prepareRoot(resolve(options.root));
  const root = realpathSync(options.root);
  const writes = openWrites({ root, clock, log });
  await writes.recover();
  const search = openSearch(root, join(resolve(options.cache), "hub.db"));
  const skills = openSkills({ root, folders: options.skillFolders ?? [], log });

  const map = openMap(root);

  async function write(mode: "create" | "append", path: string, text: string, why: string, author: Author) {
    const redraw = path.endsWith("abstract.md") || !existsSync(join(root, dirname(path)));
    const written = await writes.write({ mode, path, text, why, author });
    search.touch(written.path);
    if (redraw) map.forget();
    return written;
  }

  return {
    root,
    map: async (wanted = {}) => map.draw(wanted),
    async search(query, wanted = {}) {
      const under = wanted.under ? cleanPath(wanted.under) : undefined;
      if (under) refuseArchive(under);
      return search.find({ query, under, budget: wanted.budget ?? DEFAULT_SEARCH_BUDGET });
    },
    read: async (path, wanted) => readHub(root, path, { ...wanted, elsewhere: skills.resource }),
    create: (path, text, why, author) => write("create", path, text, why, author),
    append: (path, text, why, author) => write("append", path, text, why, author),
    written: (author) => writes.written(author),
    soul: () => readFile(join(root, "identity/soul.md"), "utf8").catch(() => ""),
    skills: async () => skills.list(),
    readSkill: async (name) => skills.read(name),
    async label(path) {
      const place = locate(root, path.replace(/:\d+(-\d+)?$/u, ""));
      if (place.kind === "missing") return OWNER;
      if (place.kind === "file") return labelOfFile(place.absolute);
      const strange = readdirSync(place.absolute, { withFileTypes: true }).some((entry) => {
        if (entry.name.startsWith(".")) return false;
        if (entry.isDirectory()) return !isKnown(root, `${place.path}/${entry.name}`);
        return entry.isFile() && labelOfFile(join(place.absolute, entry.name)).integrity === "untrusted";
      });
      const overview = join(place.absolute, "overview.md");
      const { privacy } = statSync(overview, { throwIfNoEntry: false })?.isFile() ? labelOfFile(overview) : OWNER;
      return { integrity: strange ? "untrusted" : "trusted", privacy };
    },
    async close() {
      await writes.idle();
      await search.close();
    },
  };
}
