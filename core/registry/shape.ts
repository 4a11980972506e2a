import { z } from "zod";
import { parseDuration } from "../base/durations.ts";
import { DaimonError } from "../base/errors.ts";
import type { Capability } from "../define/capability.ts";

export const text = z.string("must be text").refine((value) => value.trim() !== "", "must not be empty");
const flag = z.boolean("must be true or false");
const code = z.custom<() => unknown>((value) => typeof value === "function", "must be a function");
export const positive = z.number("must be a number").positive("must be more than 0");
export const count = z.int("must be a whole number").positive("must be more than 0");
const kebab = text.regex(
  /^[a-z0-9]+(-[a-z0-9]+)*$/,
  'must be small letters, digits and single dashes, like "weekly-report"',
);
export const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, `must be one of ${values.map((value) => `"${value}"`).join(", ")}`);

const LONGEST_MILLISECONDS = parseDuration("365d");
/** NaN for what is no duration. */
const millisecondsOf = (value: string) => {
  try {
    return parseDuration(value);
  } catch {
    return Number.NaN;
  }
};
export const duration = text.refine((value) => {
  const milliseconds = millisecondsOf(value);
  return milliseconds > 0 && milliseconds <= LONGEST_MILLISECONDS;
}, 'must be a duration up to a year, like "30s", "5m" or "1d12h"');
const path = text.regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be a dotted path, like "issue.id"');
const rate = { limit: count.max(10_000, "must be at most 10000"), per: duration };

const limits = z.strictObject({ turns: count, usd: positive, minutes: positive }).partial();
const retry = z.strictObject({
  attempts: count,
  delays: z.array(z.number("must be milliseconds").min(0, "must not be negative"), "must be a list"),
});
const named = { name: kebab, description: text.optional() };
const handled = { run: code, retry: retry.optional(), limits: limits.optional() };
export const anyText = z.string("must be text");
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], "must be text, a number, true, false or null");

/** `fields` beside exactly one place, or one of the `others`. */
const placed = <const Fields extends z.ZodRawShape>(fields: Fields, others: readonly string[] = []) => {
  const names = ["header", "data", "query", ...others];
  return z
    .strictObject({ header: text.optional(), data: text.optional(), query: text.optional(), ...fields })
    .refine(
      (value: Readonly<Record<string, unknown>>) => names.filter((name) => value[name] !== undefined).length === 1,
      `must have one of ${names.map((name) => `"${name}"`).join(", ")}`,
    );
};
const place = placed({});
const list = <Item extends z.ZodType>(item: Item) => z.array(item, "must be a list").optional();

const conditions = list(
  placed({ is: z.union([scalar, z.array(scalar)]).optional(), starts: text.optional(), secret: text.optional() }),
);
const reply = z.strictObject({
  status: z.int("must be a status").min(200, "must be a status").max(599, "must be a status"),
  json: z.unknown().optional(),
  text: anyText.optional(),
  media: text.optional(),
  echo: place.optional(),
  when: conditions,
});
const handshake = z.strictObject({
  method: oneOf("GET", "POST").optional(),
  when: conditions.unwrap(),
  reply,
  offers: place.optional(),
});

const signing = {
  prefix: anyText.optional(),
  fields: z.strictObject({ separator: anyText, assign: text, name: text }).optional(),
  signed: text.optional(),
  timestamp: placed(
    {
      field: text.optional(),
      unit: oneOf("seconds", "milliseconds").optional(),
      toleranceSeconds: positive.optional(),
    },
    ["field"],
  ).optional(),
  key: z.strictObject({ encoding: oneOf("base64", "hex"), prefix: text.optional() }).optional(),
  encoding: oneOf("hex", "base64"),
  secret: text,
};
const hmac = {
  scheme: z.literal("hmac"),
  algorithm: oneOf("sha256", "sha1"),
  plain: text.optional(),
  bodyHash: text.optional(),
};
const equality = { scheme: z.literal("equality"), basic: z.literal(true).optional() };
const token = {
  scheme: z.literal("token"),
  header: text,
  prefix: anyText.optional(),
  keys: z.url({ protocol: /^https?$/, error: "must be an address" }),
  issuers: z.array(text, "must be a list"),
  audience: text.optional(),
  claim: text,
  claims: z.record(z.string(), scalar).optional(),
  secret: text,
};
const verify = z.discriminatedUnion(
  "scheme",
  [
    placed({ ...hmac, ...signing }),
    placed({ scheme: z.literal("ed25519"), ...signing }),
    placed({ ...equality, prefix: anyText.optional(), secret: text }, ["basic"]),
    z.strictObject(token),
  ],
  'must be { scheme: "hmac", … }, "equality", "ed25519" or "token"',
);

const webhook = z.strictObject({
  source: kebab,
  description: text.optional(),
  verify,
  type: z.array(placed({ as: z.union([text, z.record(z.string(), anyText)]).optional() }), "must be a list"),
  key: z.union([place, z.array(place)], 'must be { header: "…" }, { data: "…" }, or a list of such').optional(),
  items: list(text.regex(/\[\]$/, 'must end in "[]"')),
  handshakes: list(handshake),
  replies: z.strictObject({ accepted: list(reply), refused: reply.optional() }).optional(),
  format: oneOf("json", "form", "xml").optional(),
  maxBytes: count.optional(),
  rate: z.strictObject(rate).optional(),
  once: z.literal(true, "must be true or left out").optional(),
  expectEvery: duration.optional(),
  setup: text.optional(),
});

const trigger = z.strictObject({
  ...named,
  ...handled,
  on: z.strictObject({
    source: text,
    type: z.union([text, z.array(text)], "must be text or a list of texts").optional(),
    where: z.record(z.string(), z.union([scalar, z.array(scalar)])).optional(),
  }),
  concurrency: z.strictObject({ key: path.optional(), limit: count }).optional(),
  debounce: z
    .strictObject({ key: path.optional(), delay: duration, most: duration.optional() })
    .refine(({ delay, most = delay }) => !(millisecondsOf(most) < millisecondsOf(delay)), {
      path: ["most"],
      message: 'must not be shorter than "delay"',
    })
    .optional(),
  rate: z.strictObject({ ...rate, key: path.optional() }).optional(),
  priority: z.int("must be a whole number from -1000 to 1000").min(-1000).max(1000).optional(),
});

const schedule = z.strictObject({
  ...named,
  ...handled,
  cron: text,
  zone: text.optional(),
  catchup: oneOf("none", "one", "all").optional(),
  window: text.optional(),
  overlap: oneOf("skip", "queue", "allow", "cancel").optional(),
  jitter: text.optional(),
  onFailure: z.strictObject({ after: count }).optional(),
  onRecovery: flag.optional(),
  expectEvery: duration.optional(),
});

const tool = z.strictObject({
  name: text.regex(/^[a-zA-Z0-9_]{1,64}$/, "must be at most 64 letters, digits and _"),
  description: text,
  input: z.custom(
    (value) => typeof value === "object" && value !== null && "_zod" in value,
    "must be a schema: z.object({ … })",
  ),
  effect: oneOf("none", "read", "write", "send", "spend", "destroy"),
  sink: code.optional(),
  repeatable: flag.optional(),
  approval: flag.optional(),
  run: code,
});

const secret = z.strictObject({
  name: text.regex(/^[A-Z][A-Z0-9_]*$/, "must be capital letters, digits and _"),
  description: text,
  generate: flag.optional(),
  required: flag.optional(),
});

const shape = z.strictObject({
  name: kebab,
  description: text,
  webhooks: list(webhook),
  triggers: list(trigger),
  schedules: list(schedule),
  tools: list(tool),
  channels: list(z.strictObject({ ...named, send: code })),
  secrets: list(secret),
  egress: list(text.regex(/^(\*\.)?([a-z0-9-]+\.)*[a-z0-9-]+(:\d+)?$/i, 'must be a host, like "api.github.com"')),
});

/** The value as a capability. Throws `capability.shape` with a sentence for each field that is not as it must be. */
export function parseCapability(value: unknown): Capability {
  if (value === undefined) {
    const next = "Write `export default defineCapability({ … })`.";
    throw new DaimonError("capability.no-default", "index.ts has no default export.", next);
  }
  // Compiling the schema would cost more than this one use of it.
  const parsed = shape.safeParse(value, { jitless: true, error: inWords });
  if (parsed.success) return value as Capability;
  throw new DaimonError(
    "capability.shape",
    parsed.error.issues.map((issue) => sentence(issue, value)).join(" "),
    "See docs/how-to/, or the capabilities that are installed, for how it is written.",
  );
}

/** What is said where the field above has no words of its own. */
const inWords: z.core.$ZodErrorMap = ({ code }) =>
  code === "invalid_type" ? "must be an object" : "is of no kind that is known";

/** `schedule weekly: "cron" is missing.`; what is wrong with the `whole` itself begins with that word. */
export function sentence(issue: z.core.$ZodIssue, value: unknown, whole = "capability"): string {
  const [group, place, ...rest] = issue.path;
  const inList = typeof place === "number";
  const owner = inList ? at(value, [group!, place]) : value;
  const title = at(owner, ["name"]) ?? at(owner, ["source"]) ?? (inList ? `number ${place + 1}` : "");
  const where = inList ? `${String(group).replace(/^(?!egress)(.*)s$/, "$1")} ${title}` : whole;
  const field = (inList ? rest : issue.path).map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return `${where}: ${field ? `"${field}"` : "it"} has no field "${issue.keys.join('", "')}".`;
  }
  if (field && at(value, issue.path) === undefined) return `${where}: "${field}" is missing.`;
  return `${where}: ${field ? `"${field}"` : "it"} ${issue.message}.`;
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
