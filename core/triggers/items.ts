import { at } from "../runs/match.ts";

/** A way through lists: `entry[].changes[]` is `[["entry"], ["changes"]]`; `[]` alone is the data itself. */
type Way = readonly (readonly string[])[];

const MOST_ITEMS = 1000;
/** Items repeat what stands around them. Bytes of JSON of all together. */
const MOST_BYTES = 16 << 20;

/**
 * The items of a delivery, each as the delivery with the lists on the way replaced by the one item. An item of an outer
 * list that has none of the inner ones is itself one. Empty when there is no such list; `"many"` when there are too many.
 */
export function toItems(data: unknown, paths: readonly string[], bytes: number): readonly unknown[] | "many" {
  const ways = paths.map((path) =>
    path
      .split("[]")
      .slice(0, -1)
      .map((part) => part.split(".").filter(Boolean)),
  );
  const items = walk(data, ways);
  if (items.length > MOST_ITEMS) return "many";
  if (items.length * bytes <= MOST_BYTES) return items;
  let length = 0;
  const fit = items.every((item) => {
    length += JSON.stringify(item).length;
    return length <= MOST_BYTES;
  });
  return fit ? items : "many";
}

function walk(data: unknown, ways: readonly Way[]): unknown[] {
  const found: unknown[] = [];
  const heads = Map.groupBy(ways, (way) => way[0]!.join("."));
  for (const [head, same] of heads) {
    const list = head ? at(data, head) : data;
    if (!Array.isArray(list)) continue;
    const others = [...heads.keys()].filter((other) => other !== head);
    const around = others.reduce((rest, other) => without(rest, other.split(".")), data);
    const inner = same.map((way) => way.slice(1)).filter((way) => way.length > 0);
    for (const element of list) {
      if (found.length > MOST_ITEMS) return found;
      const items = inner.length > 0 ? walk(element, inner) : [];
      for (const item of items.length > 0 ? items : [element]) found.push(put(around, same[0]![0]!, item));
    }
  }
  return found;
}

function put(data: unknown, [name, ...rest]: readonly string[], item: unknown): unknown {
  if (name === undefined) return item;
  const fields = data as Record<string, unknown>;
  return { ...fields, [name]: put(fields[name], rest, item) };
}

function without(data: unknown, [name, ...rest]: readonly string[]): unknown {
  if (typeof data !== "object" || data === null || !Object.hasOwn(data, name!)) return data;
  const { [name!]: inner, ...others } = data as Record<string, unknown>;
  return rest.length === 0 ? others : { ...others, [name!]: without(inner, rest) };
}
