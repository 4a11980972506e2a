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

const MOST_NAME = 500;

/** A name from outside as an index can hold it: without NUL, and of a long one its beginning and its hash. */
export function toName(text: string): string {
  const clean = text.replaceAll("\0", "\ufffd");
  if (clean.length <= MOST_NAME) return clean;
  return `${clean.slice(0, 200)}~${createHash("sha256").update(clean).digest("hex")}`;
}
