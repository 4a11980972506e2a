import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { attempt, DaimonError } from "../base/errors.ts";
import type { SampleDelivery, SampleRequest } from "../console/options.ts";
import type { RawRequest } from "../define/event.ts";
import type { Place, Webhook } from "../define/webhook.ts";
import { secretMissing } from "../policy/secrets.ts";
import type { Sample } from "../registry/registry.ts";
import { DUPLICATE_HEADER, EVENT_HEADER } from "../triggers/answers.ts";
import { encodeBody, makeKeyPair, setAt, signRequest } from "../triggers/sign.ts";
import type { InstalledSource } from "./installed.ts";

export interface SampleOptions {
  readonly sources: ReadonlyMap<string, InstalledSource>;
  readonly samples: readonly Sample[];
  /** Where this process listens. */
  readonly url: string;
  /** How the world calls it: some senders sign that. */
  readonly publicUrl: string;
  /** Where the owner writes secrets. */
  readonly envFile: string;
  readonly now: () => Date;
}

/**
 * Signs recorded payloads as their sender would and posts them through the real door at `url`.
 * Throws `source.missing`, `sample.missing`, `sample.invalid` or `secret.missing`.
 */
export async function sendSamples(request: SampleRequest, options: SampleOptions): Promise<SampleDelivery[]> {
  const source = options.sources.get(request.source);
  if (!source) {
    const known = [...options.sources.keys()].join(", ");
    throw new DaimonError(
      "source.missing",
      `There is no source "${request.source}".`,
      `There are: ${known || "none"}. What was added since the start is there after a restart.`,
    );
  }
  const sample = findSample(options.samples, request);
  const recorded = sample ? parseSample(await readFile(sample.file, "utf8"), sample.file) : {};
  const type = sample?.type ?? request.type ?? "test";
  const at = () => (request.stale ? staleTime(source.webhook, options.now()) : options.now());
  const deliveries: SampleDelivery[] = [];
  let key: string = randomUUID();
  for (let time = 0; time < (request.times ?? (request.duplicate ? 2 : 1)); time++) {
    if (time > 0 && !request.duplicate) key = randomUUID();
    const given = { recorded, data: request.data, type, key, again: time > 0 && !request.duplicate };
    const signed = sign(toRequest(source.webhook, given), source, { ...options, now: at, wrong: request.badSignature });
    deliveries.push({ ...(await post(signed, options.url)), key });
  }
  return deliveries;
}

function findSample(samples: readonly Sample[], request: SampleRequest): Sample | undefined {
  const own = samples.filter((sample) => sample.source === request.source);
  if (!request.type) return own[0];
  const found =
    own.find((sample) => sample.type === request.type) ??
    own.find((sample) => sample.type.startsWith(`${request.type}.`));
  if (found || request.data) return found;
  const known = own.map((sample) => sample.type).join(", ");
  const next = known ? `There are: ${known}. Or give --data.` : "Give --data.";
  throw new DaimonError("sample.missing", `${request.source} has no recorded "${request.type}".`, next);
}

function parseSample(text: string, file: string) {
  const odd = (why: string) =>
    new DaimonError("sample.invalid", `${file} is not JSON: ${why}.`, "Mend it, and send again.");
  return attempt(() => JSON.parse(text), odd);
}

const MEDIA = { json: "application/json", form: "application/x-www-form-urlencoded", xml: "application/atom+xml" };

type Fields = Readonly<Record<string, unknown>>;

interface Given {
  readonly recorded: Fields | readonly Fields[];
  readonly data: Fields | readonly Fields[] | undefined;
  readonly type: string;
  readonly key: string;
  /** A key that stands in `data` was used by a delivery before. */
  readonly again?: boolean;
}

/** The delivery before it is signed: of the recorded data, under the fresh key, of the type. */
export function toRequest(webhook: Webhook, { recorded, data, type, key, again }: Given): RawRequest {
  const headers: Record<string, string> = {
    "content-type": MEDIA[webhook.format ?? "json"],
    "user-agent": "daimon-send",
  };
  const words = type.split(".");
  for (const [place, pick] of webhook.type.entries()) {
    if ("header" in pick && !pick.as) headers[pick.header.toLowerCase()] = words[place] ?? "";
  }
  let content = merge(recorded, data);
  const place = placesOf(webhook.key).find(
    (one) => "header" in one || ("data" in one && firstAt(content, one.data) !== undefined),
  );
  if (place && "header" in place) headers[place.header.toLowerCase()] = key;
  if (place && "data" in place && (again || !isGiven(place.data, data))) content = renew(content, place.data, key);
  const empty = { method: "POST", url: `/hooks/${webhook.source}`, headers, body: Buffer.of() };
  const request = encodeBody(empty, content);
  // What has no key of its own is known by its bytes.
  return place ? request : { ...request, body: Buffer.concat([request.body, toSpaces(key)]) };
}

/** The recorded data with these fields changed, in each item where it is a list; a list takes its place. */
function merge(recorded: Given["recorded"], data: Given["data"]): unknown {
  if (isList(data)) return data;
  return isList(recorded) ? recorded.map((item) => ({ ...item, ...data })) : { ...recorded, ...data };
}

const isList = (value: Given["recorded"] | undefined): value is readonly Fields[] => Array.isArray(value);
const placesOf = (key: Webhook["key"] = []): readonly Place[] => ("length" in key ? key : [key]);
const isGiven = (path: string, data: Given["data"] = {}) =>
  [data].flat().some((item) => Object.hasOwn(item, path.split(".")[0]!));

/** The value at the path; of a list on the way the first item's. */
function firstAt(content: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => {
    const inner = Array.isArray(value) ? value[0] : value;
    return typeof inner === "object" && inner !== null ? Reflect.get(inner, name) : undefined;
  }, content);
}

/** A fresh value at the path, of the kind and about the length that stood there; lists on the way are gone through. */
function renew(content: unknown, path: string, key: string): unknown {
  const before = firstAt(content, path);
  let count = 0;
  const number = Number.parseInt(key.replaceAll("-", "").slice(0, 10), 16);
  const fresh = () => {
    count++;
    if (typeof before === "number") return String(number + count);
    const text = count > 1 ? `${key}-${count}` : key;
    const length = Math.max(String(before).length, SHORTEST_KEY);
    return length < key.length ? createHash("sha256").update(text).digest("hex").slice(0, length) : text;
  };
  return setAt(content, path.split("."), fresh);
}

/** Characters of a fresh key at least, so that no two meet. */
const SHORTEST_KEY = 10;

const toSpaces = (key: string) =>
  Buffer.from(key.replace(/./g, (sign) => (Number.parseInt(sign, 16) & 1 ? "\n" : " ")));

function sign(
  request: RawRequest,
  { webhook, secrets, sampleKeys }: InstalledSource,
  {
    now,
    publicUrl,
    envFile,
    wrong,
  }: Pick<SampleOptions, "now" | "publicUrl" | "envFile"> & { wrong?: boolean | undefined },
): RawRequest {
  const { secret: name } = webhook.verify;
  const [secret] = secrets();
  if (!secret) throw secretMissing(name, envFile);
  const own = sampleKeys();
  const pair = wrong ? makeKeyPair(webhook.verify) : own;
  // A wrong one is still one that the scheme can use.
  const used = wrong && !pair ? Buffer.from(randomUUID()).toString("hex") : secret;
  return signRequest(request, webhook.verify, { secret: used, privateKey: pair?.privateKey, now: now(), publicUrl });
}

/** Longer ago than the scheme lets pass; a token has ended by then. */
function staleTime({ source, verify }: Webhook, now: Date): Date {
  const timestamp = "timestamp" in verify ? verify.timestamp : undefined;
  if (verify.scheme !== "token" && !timestamp)
    throw new DaimonError(
      "sample.invalid",
      `${source} signs no time, so nothing of it can be stale.`,
      "A delivery that comes again is known by its key: --duplicate.",
    );
  return new Date(now.getTime() - (timestamp?.toleranceSeconds ?? 0) * 1000 - 2 * 3_600_000);
}

async function post(request: RawRequest, url: string): Promise<Omit<SampleDelivery, "key">> {
  const { method, headers, body } = request;
  const response = await fetch(url + request.url, { method, headers, body: Buffer.from(body) });
  const text = await response.text();
  const id = response.headers.get(EVENT_HEADER);
  const known = response.headers.has(DUPLICATE_HEADER) ? { duplicate: true } : {};
  return { status: response.status, body: id ? { id, ...known } : JSON.parse(text || "{}") };
}
