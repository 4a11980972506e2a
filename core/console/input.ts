import type { Context } from "hono";
import { z } from "zod";
import { DaimonError } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";

/** Text of at most `most` characters without NUL, which the database cannot hold. */
export const text = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => !value.includes("\0"), "must not contain NUL");

const ID = /^[a-z]{3}_[0-9a-z]{26}$/;

/** An id that begins so (`evt`), or nothing. */
export const id = (kind: string, otherwise: string) =>
  z
    .string()
    .regex(new RegExp(`^${kind}_[0-9a-z]{26}$`), otherwise)
    .optional();

export const LIMIT = z.coerce.number().int().min(1).max(200).default(50);

/** Which part of a list is asked for, by the last id of the part before. */
export const page = (kind: string) =>
  z.strictObject({ cursor: id(kind, "is not the `next` of a page of this list"), limit: LIMIT });

/** A value whose optional fields are absent, not undefined: zod leaves them out. */
type Given<Value> = { [Field in keyof Value]: Exclude<Value[Field], undefined> };

/** The query of a request, as `schema` says. Throws `request.invalid`, which names the field. */
export function readQuery<Value>(context: Context, schema: z.ZodType<Value>): Given<Value> {
  return parse(schema, context.req.query(), "The query");
}

/** The JSON body of a request, as `schema` says. Throws `request.invalid`, which names the field. */
export async function readBody<Value>(context: Context, schema: z.ZodType<Value>): Promise<Given<Value>> {
  const body = await context.req.text();
  let value: unknown;
  try {
    value = body === "" ? {} : parseJson(body);
  } catch (error) {
    const why = error instanceof RangeError ? error.message : "is not JSON";
    throw new DaimonError("request.invalid", `The body ${why}.`, "Send a JSON object.");
  }
  return parse(schema, value, "The body");
}

/** An id of the path. Throws `<what>.missing` when no such id can exist. */
export function readId(context: Context, what: string): string {
  const id = context.req.param("id") ?? "";
  if (!ID.test(id)) throw missing(what, id);
  return id;
}

/** `found`, or throws `<what>.missing`. */
export function present<Value>(found: Value | null | undefined, what: string, id: string): Value {
  if (found === null || found === undefined) throw missing(what, id);
  return found;
}

/** Of what has no `daimon <what>s list`. */
const LISTS: Record<string, string> = { token: "token list", conversation: "chat", trigger: "list", source: "list" };

const missing = (what: string, id: string) =>
  new DaimonError(
    `${what}.missing`,
    `There is no ${what} ${JSON.stringify(id.slice(0, 100))}.`,
    `daimon ${LISTS[what] ?? `${what}s list`}`,
  );

function parse<Value>(schema: z.ZodType<Value>, value: unknown, whole: string): Given<Value> {
  const result = schema.safeParse(value);
  if (result.success) return result.data as Given<Value>;
  const issue = result.error.issues[0]!;
  const field = issue.path.length > 0 ? `"${issue.path.join(".")}"` : whole;
  const next = "docs/reference/api.md tells what each request takes.";
  throw new DaimonError("request.invalid", `${field}: ${issue.message}.`, next);
}
