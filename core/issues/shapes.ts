/** What a path of the data held: JSON's own types, in words for people. */
export type Kind = "text" | "a number" | "true or false" | "null" | "an object" | "a list";

/** A path by its types. `always`: it stood in every object that could have held it. */
export interface PathShape {
  readonly types: readonly Kind[];
  readonly always: boolean;
}

/** The paths of a payload: `data.customer.email`, `data.items[].price`; the changing keys of a map are `*`. */
export type Paths = Readonly<Record<string, PathShape>>;

/** What is known of the payloads of one source and type. */
export interface Shape {
  /** Events that it was learned from. */
  readonly seen: number;
  readonly paths: Paths;
}

/** A path that was always there and is gone, or one with a type that it never had. */
export interface Difference {
  readonly path: string;
  readonly was: readonly Kind[];
  /** Empty: missing. */
  readonly now: readonly Kind[];
}

/** So many events of a source and type are learned from before one can differ. */
export const LEARNED_FROM = 5;

const MOST_DEPTH = 8;
const MOST_ITEMS = 20;
const MOST_PATHS = 500;
/** An object with more keys than this, of which most come and go, is a map. */
const MOST_KEYS = 30;
/** A key that is itself a value: an id, a number, a day, an address, a file's name. */
const VALUE = /[.@/:[\]]|^\d+$|^\d{4}-\d\d|^(?=.*\d)[0-9a-f-]{8,}$|^[a-z]+_(?=\w*\d)\w{8,}$/i;

/** The paths of one payload, with the maps that `known` has. Bounded in depth, list items and number. Pure, as all here. */
export function pathsOf(data: unknown, known: Paths = {}): Paths {
  const found = new Map<string, { types: Set<Kind>; count: number; holder: string }>();
  const objects = new Map<string, number>();
  const visit = (value: unknown, path: string, holder: string, depth: number): void => {
    const one = found.get(path) ?? { types: new Set<Kind>(), count: 0, holder };
    if (!found.has(path) && found.size >= MOST_PATHS) return;
    found.set(path, one);
    one.types.add(kindOf(value));
    one.count++;
    if (typeof value !== "object" || value === null || depth === MOST_DEPTH) return;
    if (Array.isArray(value)) {
      for (const item of value.slice(0, MOST_ITEMS)) visit(item, `${path}[]`, "", depth + 1);
      return;
    }
    const keys = Object.keys(value);
    const map = known[`${path}.*`] !== undefined || (keys.length > 0 && keys.every((key) => VALUE.test(key)));
    if (!map) objects.set(path, (objects.get(path) ?? 0) + 1);
    for (const key of keys) {
      const inner = (value as Record<string, unknown>)[key];
      if (map) visit(inner, `${path}.*`, "", depth + 1);
      else visit(inner, `${path}.${key}`, path, depth + 1);
    }
  };
  visit(data, "data", "", 0);
  return Object.fromEntries(
    [...found].map(([path, { types, count, holder }]) => [
      path,
      { types: [...types].sort(), always: holder !== "" && count === objects.get(holder) },
    ]),
  );
}

function kindOf(value: unknown): Kind {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  const kinds = { string: "text", number: "a number", boolean: "true or false" } as const;
  return kinds[typeof value as keyof typeof kinds] ?? "an object";
}

/** What an event's paths have lost or changed against what is known. What is new is no difference. */
export function compare(known: Paths, paths: Paths): Difference[] {
  // Of a payload with too many paths some are not seen.
  const whole = Object.keys(paths).length < MOST_PATHS;
  return Object.entries(known).flatMap(([path, { types, always }]) => {
    const now = paths[path];
    const holder = path.slice(0, path.lastIndexOf("."));
    const couldBe = paths[holder]?.types.includes("an object") === true && paths[`${holder}.*`] === undefined;
    if (always && whole && couldBe && !now?.always) return [{ path, was: types, now: [] }];
    if (!now || isOnlyNull(types)) return [];
    const strange = now.types.filter((type) => !types.includes(type));
    return strange.length > 0 ? [{ path, was: types, now: strange }] : [];
  });
}

/** Nothing is known of what a path holds that was always empty. */
const isOnlyNull = (types: readonly Kind[]): boolean => types.length === 1 && types[0] === "null";

/**
 * The shape with one more event in it: paths that are new, and, for as long as it is being learned, what comes and goes.
 * An object in which most of many keys come and go is known as a map from then on. The same shape when nothing is new.
 */
export function learn(shape: Shape, paths: Paths): Shape {
  const learning = shape.seen < LEARNED_FROM;
  const room = MOST_PATHS - Object.keys(shape.paths).length;
  const fresh = Object.entries(paths).filter(([path]) => !shape.paths[path]);
  const known = Object.entries(paths).filter(([path, { types }]) => {
    const before = shape.paths[path];
    return before && (learning || (isOnlyNull(before.types) && !isOnlyNull(types)));
  });
  if (!learning && known.length === 0 && (fresh.length === 0 || room <= 0)) return shape;
  const merged: Record<string, PathShape> = { ...shape.paths };
  for (const [path, one] of known) merged[path] = { ...merged[path]!, types: union(merged[path]!.types, one.types) };
  for (const [path, one] of fresh.slice(0, Math.max(0, room))) {
    const holder = shape.paths[path.slice(0, path.lastIndexOf("."))];
    merged[path] = holder?.types.includes("an object") ? { ...one, always: false } : one;
  }
  if (learning) {
    for (const { path, now } of compare(shape.paths, paths)) {
      if (now.length === 0) merged[path] = { ...merged[path]!, always: false };
    }
  }
  return { seen: Math.min(shape.seen + 1, LEARNED_FROM), paths: collapseMaps(merged) };
}

/** The shape in which these differences are as it should be: what was missing may be, what changed has both types. */
export function adopt(shape: Shape, differences: readonly Difference[]): Shape {
  if (differences.length === 0) return shape;
  const paths: Record<string, PathShape> = { ...shape.paths };
  for (const { path, now } of differences) {
    const before = paths[path];
    if (!before) continue;
    paths[path] = now.length === 0 ? { ...before, always: false } : { ...before, types: union(before.types, now) };
  }
  return { ...shape, paths };
}

/** Whether an event has a path again as it was known: then it comes and goes. */
export function isBack(difference: Difference, paths: Paths): boolean {
  const now = paths[difference.path];
  if (!now) return false;
  return difference.now.length === 0 ? now.always : now.types.every((type) => difference.was.includes(type));
}

function collapseMaps(paths: Record<string, PathShape>): Paths {
  const keys = Map.groupBy(
    Object.keys(paths).filter((path) => /\.[^.[\]]+$/.test(path)),
    (path) => path.slice(0, path.lastIndexOf(".")),
  );
  const map = [...keys].find(
    ([, children]) =>
      children.length > MOST_KEYS && children.filter((child) => paths[child]!.always).length < children.length / 2,
  )?.[0];
  if (map === undefined) return paths;
  const collapsed: Record<string, PathShape> = {};
  for (const [path, one] of Object.entries(paths)) {
    const rest = path.startsWith(`${map}.`) ? path.slice(map.length + 1).replace(/^[^.[\]]+/, "") : null;
    const name = rest === null ? path : `${map}.*${rest}`;
    const same = collapsed[name];
    const always = rest === "" ? false : one.always && (same?.always ?? true);
    collapsed[name] = { types: union(same?.types ?? [], one.types), always };
  }
  return collapseMaps(collapsed);
}

const union = (one: readonly Kind[], other: readonly Kind[]): Kind[] => [...new Set([...one, ...other])].sort();

/** `data.customer.email was text, is now missing`. */
export function describeDifference({ path, was, now }: Difference): string {
  return `${path} was ${was.join(" or ")}, is now ${now.join(" or ") || "missing"}`;
}
