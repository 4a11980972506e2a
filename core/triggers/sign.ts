import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { Place, TokenVerification, Verification } from "../define/webhook.ts";
import { isForm, parseBody } from "./body.ts";
import { openHmac, type Signed, signedParts, toKey } from "./signed.ts";
import { renderXml } from "./xml.ts";

/** What a sender signs with. */
export interface Pen {
  /** The shared secret; of a token the account that it must be of. Not used where `privateKey` is. */
  readonly secret: string;
  readonly privateKey?: KeyObject | undefined;
  readonly now: Date;
  readonly publicUrl: string;
}

/** Under this id the issuer of a token would publish a sample key. */
export const SAMPLE_KEY = "daimon-sample";

/** A key pair such as the sender has, for samples and tests; undefined for a scheme whose secret is shared. */
export function makeKeyPair({ scheme }: Verification): { publicKey: KeyObject; privateKey: KeyObject } | undefined {
  if (scheme === "ed25519") return generateKeyPairSync("ed25519");
  if (scheme === "token") return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

/** The request as its sender would post it: with the time, and a signature that verifies. */
export function signRequest(request: RawRequest, verification: Verification, pen: Pen): RawRequest {
  const { scheme } = verification;
  if (scheme === "token")
    return write(request, verification, (verification.prefix ?? "") + makeToken(request, verification, pen));
  if (scheme !== "equality") return signParts(request, verification, pen);
  if (!("basic" in verification)) return write(request, verification, (verification.prefix ?? "") + pen.secret);
  const text = Buffer.from(`daimon:${pen.secret}`).toString("base64");
  return write(request, { header: "authorization" }, `Basic ${text}`);
}

function signParts(request: RawRequest, verification: Signed, pen: Pen): RawRequest {
  const { timestamp, fields, prefix = "" } = verification;
  const stamp = String(timestamp?.unit === "milliseconds" ? pen.now.getTime() : Math.floor(pen.now.getTime() / 1000));
  let stamped = timestamp && !("field" in timestamp) ? write(request, timestamp, stamp) : request;
  if ("bodyHash" in verification && verification.bodyHash && !isForm(request)) {
    const hash = createHash("sha256").update(stamped.body).digest("hex");
    stamped = write(stamped, { query: verification.bodyHash }, hash);
  }
  const data = () => parseBody(stamped).parsed;
  const parts = signedParts(stamped, verification, { publicUrl: pen.publicUrl, data, timestamp: () => stamp }) ?? [];
  const signature = makeSignature(parts, verification, pen);
  if (!fields) return write(stamped, verification, prefix + signature);
  const items = [[fields.name, signature]];
  if (timestamp && "field" in timestamp) items.unshift([timestamp.field, stamp]);
  return write(stamped, verification, prefix + items.map((item) => item.join(fields.assign)).join(fields.separator));
}

function makeSignature(parts: readonly (string | Uint8Array)[], verification: Signed, pen: Pen): string {
  if (verification.scheme === "ed25519") {
    const content = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
    return sign(null, content, pen.privateKey!).toString(verification.encoding);
  }
  const hmac = openHmac(verification, toKey(pen.secret, verification) ?? "");
  for (const part of parts) hmac.update(part);
  return hmac.digest(verification.encoding);
}

function makeToken(request: RawRequest, verification: TokenVerification, pen: Pen): string {
  const now = Math.floor(pen.now.getTime() / 1000);
  const claims = {
    ...{
      iss: verification.issuers[0],
      aud: verification.audience ?? pen.publicUrl + request.url,
      iat: now,
      exp: now + 3600,
    },
    ...{ [verification.claim]: pen.secret, ...verification.claims },
  };
  const head = { alg: "RS256", kid: SAMPLE_KEY, typ: "JWT" };
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${sign("sha256", Buffer.from(text), pen.privateKey!).toString("base64url")}`;
}

/** The request with a value at a place. */
function write(request: RawRequest, place: Place, value: string): RawRequest {
  if ("header" in place) return { ...request, headers: { ...request.headers, [place.header.toLowerCase()]: value } };
  if ("data" in place)
    return encodeBody(
      request,
      setAt(parseBody(request).parsed, place.data.split("."), () => value),
    );
  const [path, query] = request.url.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set(place.query, value);
  return { ...request, url: `${path}?${parameters}` };
}

/** The request with other data in its body, written as its content type says. */
export function encodeBody(request: RawRequest, data: unknown): RawRequest {
  const type = request.headers["content-type"] ?? "";
  const fields = data as Record<string, string>;
  const text = isForm(request)
    ? String(new URLSearchParams(fields))
    : type.includes("xml")
      ? renderXml(fields)
      : JSON.stringify(data);
  return { ...request, body: Buffer.from(text) };
}

/** The data with a value at a path; in a list at that path of every item. What was a number stays one. */
export function setAt(data: unknown, [name, ...rest]: readonly string[], make: () => string): unknown {
  if (Array.isArray(data)) return data.map((item) => setAt(item, name === undefined ? [] : [name, ...rest], make));
  if (name === undefined) return typeof data === "number" ? Number(make()) : make();
  const fields = (typeof data === "object" ? data : {}) as Record<string, unknown>;
  return { ...fields, [name]: setAt(fields?.[name], rest, make) };
}
