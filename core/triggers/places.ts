import type { RawRequest } from "../define/event.ts";
import type { Condition, Named, Place } from "../define/webhook.ts";
import { at } from "../runs/match.ts";

/** What stands at a place; undefined when nothing does. `data` is asked for the parsed body only when it is needed. */
function pick(place: Place, request: RawRequest, data: () => unknown): unknown {
  if ("header" in place) return request.headers[place.header.toLowerCase()];
  if ("data" in place) return at(data(), place.data);
  return queryOf(request).get(place.query) ?? undefined;
}

/** The same as text, when it is text or a number. */
export function pickText(place: Place, request: RawRequest, data: () => unknown): string | undefined {
  const value = pick(place, request, data);
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** The word for what stands there; undefined when nothing does. */
export function pickName(place: Named, request: RawRequest, data: () => unknown): string | undefined {
  if (typeof place.as === "string") return pick(place, request, data) === undefined ? undefined : place.as;
  const text = pickText(place, request, data);
  return text === undefined ? undefined : (place.as?.[text] ?? text);
}

export function queryOf(request: RawRequest): URLSearchParams {
  const start = request.url.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : request.url.slice(start + 1));
}

/** True when all of it holds. A secret is not compared here: `secret` says whether the value is one of that name. */
export function holds(
  conditions: readonly Condition[],
  request: RawRequest,
  data: () => unknown,
  secret: (name: string, value: string) => boolean,
): boolean {
  return conditions.every((condition) => {
    const value = pick(condition, request, data);
    if (value === undefined) return false;
    if (condition.secret !== undefined && !secret(condition.secret, String(value))) return false;
    if (condition.starts !== undefined && !String(value).startsWith(condition.starts)) return false;
    if (condition.is === undefined) return true;
    return Array.isArray(condition.is) ? condition.is.includes(value) : condition.is === value;
  });
}
