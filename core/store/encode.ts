/** Values as statements take them. */
import { createHash } from "node:crypto";

/** The columns of these rows as array literals, as `unnest` takes them: pg's own way costs three times as much. */
export function columns(rows: readonly (readonly unknown[])[], width: number): string[] {
  return Array.from({ length: width }, (_, column) => {
    let literal = "";
    for (const row of rows) literal += `,${toElement(row[column])}`;
    return `{${literal.slice(1)}}`;
  });
}

function toElement(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number") return String(value);
  if (value instanceof Date) return `"${value.toISOString()}"`;
  const text = value as string;
  return text.includes('"') || text.includes("\\") ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;
}

/** JSON as jsonb takes it: what that cannot hold (NUL, half a surrogate pair) becomes U+FFFD. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  if (!text.includes("\\u")) return text;
  return text.replace(/(\\\\)|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (_, backslashes) => backslashes ?? "\ufffd");
}

/** The same, with null for what is nothing. */
export function toJsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : toJson(value);
}

/** JSON as jsonb gives it back: of an object the shorter keys first, those of one length by their bytes. */
export function fromJson(text: string): unknown {
  return inOrder(JSON.parse(text));
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  const keys = Object.keys(object).sort(compareKeys);
  return Object.fromEntries(keys.map((key) => [key, inOrder(object[key])]));
}

function compareKeys(one: string, other: string): number {
  const longer = Buffer.byteLength(one) - Buffer.byteLength(other);
  return longer || Buffer.compare(Buffer.from(one), Buffer.from(other));
}

const MOST_NAME = 500;

/** Text as the database can hold it: NUL and half a surrogate pair become U+FFFD. */
export const toText = (text: string) => text.replaceAll("\0", "\ufffd").toWellFormed();

/** A name as an index can hold it: text, and of a long one its beginning and its hash. */
export function toName(name: string): string {
  const text = toText(name);
  if (text.length <= MOST_NAME) return text;
  return toText(`${text.slice(0, 200)}~${createHash("sha256").update(text).digest("hex")}`);
}
