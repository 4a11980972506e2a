import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { unknownName } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { readMatter, splitNote } from "./front-matter.ts";
import { locate } from "./paths.ts";

/** A skill as agents see it before they read it. */
export interface Skill {
  readonly name: string;
  readonly description: string;
  /** The SKILL.md: relative to the hub for the hub's own, else absolute. */
  readonly path: string;
}

interface Found extends Skill {
  readonly folder: string;
  readonly file: string;
}

/** The skills of the hub and of the capabilities, read again only when a SKILL.md changes. */
export interface Skills {
  list(): Skill[];
  /** A skill's instructions and the list of its resources. Throws `skill.unknown`. */
  read(name: string): string;
  /** The file of a capability's skill that `skills/<name>/…` means; null when there is none. */
  resource(path: string): string | null;
}

const MOST_RESOURCES = 100;

/** `folders` hold a folder each skill; an earlier one wins a name. Format: https://agentskills.io/specification */
export function openSkills(options: { root: string; folders: readonly string[]; log: Log }): Skills {
  const { root, log } = options;
  const known = new Map<string, { version: string; skill: Found | null }>();

  function find(): Map<string, Found> {
    const skills = new Map<string, Found>();
    for (const parent of [join(root, "skills"), ...options.folders].filter((folder) => existsSync(folder))) {
      for (const name of readdirSync(parent).sort()) {
        const skill = load(parent, name);
        if (skill && !skills.has(skill.name)) skills.set(skill.name, skill);
      }
    }
    return skills;
  }

  function load(parent: string, name: string): Found | null {
    const file = join(parent, name, "SKILL.md");
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found?.isFile()) return null;
    const version = `${found.mtimeMs} ${found.size}`;
    const before = known.get(file);
    if (before?.version === version) return before.skill;
    const { skill, warnings } = parseSkill(readFileSync(file, "utf8"), name);
    for (const warning of warnings) log.warn(`skill ${name}: ${warning}`, { file });
    const path = parent === join(root, "skills") ? `skills/${name}/SKILL.md` : file;
    const loaded = skill ? { ...skill, path, file, folder: join(parent, name) } : null;
    known.set(file, { version, skill: loaded });
    return loaded;
  }

  return {
    list: () => [...find().values()].map(({ name, description, path }) => ({ name, description, path })),
    read(name) {
      const skills = find();
      const skill = skills.get(name);
      if (skill) return describe(skill);
      throw unknownName("skill.unknown", `skill "${name}"`, skills.keys());
    },
    resource(path) {
      const [first, name, ...rest] = path.split("/");
      const skill = first === "skills" && rest.length > 0 ? find().get(name!) : undefined;
      if (!skill) return null;
      const place = locate(skill.folder, rest.join("/"));
      return place.kind === "file" ? place.absolute : null;
    },
  };
}

/** Lenient: warns and loads; a skill without a description or with front matter beyond mending is null. */
export function parseSkill(text: string, folder: string) {
  const leaveOut = (why: string) => ({ skill: null, warnings: [`left out: ${why}`] });
  const { matter } = splitNote(text);
  if (matter === null) return leaveOut("it has no front matter");
  let values: unknown;
  try {
    values = readMatter(matter) ?? {};
  } catch (error) {
    return leaveOut((error as Error).message);
  }
  if (typeof values !== "object" || Array.isArray(values)) return leaveOut("it is not a list of names and values");
  const { name = folder, description } = values as Record<string, unknown>;
  if (typeof description !== "string" || description.trim() === "") return leaveOut("it has no description");
  const warnings: string[] = [];
  const good = typeof name === "string" && name.length <= 64 && /^[a-z0-9]+(-[a-z0-9]+)*$/u.test(name);
  if (!good) warnings.push(`its name ${JSON.stringify(name)} is not of small letters, digits and single hyphens`);
  else if (name !== folder) warnings.push(`its name "${name}" is not the folder's`);
  if (description.length > 1024) warnings.push(`its description has ${description.length} characters, more than 1024`);
  return { skill: { name: good ? name : folder, description: description.trim() }, warnings };
}

function describe({ name, file, folder, path }: Found): string {
  const { body } = splitNote(readFileSync(file, "utf8"));
  const resources = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "SKILL.md" && !entry.name.startsWith("."))
    .map((entry) => `- skills/${name}/${relative(folder, join(entry.parentPath, entry.name))}`)
    .sort();
  const shown = resources.slice(0, MOST_RESOURCES);
  if (resources.length > shown.length) shown.push(`- … +${resources.length - shown.length} files`);
  const list = shown.length > 0 ? `\n\nResources, to be read with hub_read when needed:\n${shown.join("\n")}` : "";
  return `<skill_content name="${name}" path="${path}">\n${body.trim()}${list}\n</skill_content>`;
}
