/** Which events are meant: pure. */
import type { EventMatch, Scalar, Where } from "../define/event.ts";

/** The value at a dotted path of parsed JSON; undefined when there is none. */
export function at(data: unknown, path: string): unknown {
  let value = data;
  for (const name of path.split(".")) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** True when `type` is one of the patterns; a pattern may end in `.*`, and `*` (or none at all) is any type. */
export function matchesType(patterns: EventMatch["type"], type: string): boolean {
  return typePatterns(patterns).some((pattern) =>
    pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : pattern === type,
  );
}

/** True when the data has, at each path, the value or one of the values. */
export function matchesWhere(where: Where | undefined, data: unknown): boolean {
  return Object.entries(where ?? {}).every(([path, wanted]) => {
    const value = at(data, path);
    return isList(wanted) ? wanted.includes(value as Scalar) : value === wanted;
  });
}

/** The patterns as LIKE reads them. */
export function likePatterns(patterns: EventMatch["type"]): string[] {
  return typePatterns(patterns).map((pattern) => {
    const literal = pattern.replace(/\*$/, "").replace(/[\\%_]/g, "\\$&");
    return pattern.endsWith("*") ? `${literal}%` : literal;
  });
}

/** What the data must contain (jsonb @>) for `where` to be true; lists of values are left to `matchesWhere`. */
export function containment(where: Where | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [path, wanted] of Object.entries(where ?? {})) {
    if (isList(wanted)) continue;
    const names = path.split(".");
    const last = names.pop()!;
    let place = result;
    for (const name of names) {
      place[name] ??= {};
      place = place[name] as Record<string, unknown>;
    }
    place[last] = wanted;
  }
  return result;
}

function typePatterns(type: EventMatch["type"]): readonly string[] {
  if (type === undefined) return ["*"];
  return typeof type === "string" ? [type] : type;
}

function isList(value: Scalar | readonly Scalar[]): value is readonly Scalar[] {
  return Array.isArray(value);
}
