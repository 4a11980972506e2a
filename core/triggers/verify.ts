import { createHash, type KeyObject, timingSafeEqual, verify as verifySignature } from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { EqualityVerification, Timestamp, Verification } from "../define/webhook.ts";
import { parseBody } from "./body.ts";
import { pickText } from "./places.ts";
import { decode, openHmac, type Signed, signedParts, toKey, toPublicKey } from "./signed.ts";
import { checkToken, type TokenRefused } from "./token.ts";

/** Why a request is not let in. */
export type Refused =
  | "signature missing"
  | "signature wrong"
  | "timestamp missing"
  | "timestamp too far from now"
  | "secret unusable"
  | TokenRefused;

/** What a request is verified with. */
export interface Proof {
  /** The current one and, while it is rotated, the one before. */
  readonly secrets: readonly string[];
  readonly now: Date;
  /** The address of this server as the world calls it, without a path. Senders that sign it need it. */
  readonly publicUrl?: string;
  /** Public keys by their id: those of a token's issuer, and our own for samples. */
  readonly keys?: ReadonlyMap<string, KeyObject> | undefined;
  /** The parsed body. Default: it is parsed when a scheme needs it. */
  readonly data?: () => unknown;
}

/**
 * Proves over the exact bytes, in constant time, that the sender knows one of the secrets; null when it does. A pure
 * function of its arguments.
 */
export function verify(request: RawRequest, verification: Verification, proof: Proof): Refused | null {
  const data = proof.data ?? (() => parseBody(request).parsed);
  const { scheme } = verification;
  if (scheme === "equality") return checkEquality(request, verification, { secrets: proof.secrets, data });
  if (scheme === "token") {
    const audience = (proof.publicUrl ?? "") + request.url;
    return checkToken(request, verification, { ...proof, audience, keys: proof.keys ?? new Map() });
  }
  return checkSigned(request, verification, { ...proof, data });
}

type Checked = Proof & { readonly data: () => unknown };

function checkSigned(request: RawRequest, verification: Signed, proof: Checked): Refused | null {
  const given = pickText(verification, request, proof.data);
  if (!given) return "signature missing";
  const { prefix = "", fields, timestamp } = verification;
  if (!given.startsWith(prefix)) return "signature wrong";
  const named = fields ? readFields(given.slice(prefix.length), fields) : null;
  const signatures = fields ? named?.get(fields.name) : [given.slice(prefix.length)];
  if (!signatures) return "signature wrong";
  const stamp = () => timestamp && readStamp(timestamp, request, { named, data: proof.data });
  // What stands in the body is believed when the body is.
  const early = timestamp && !("data" in timestamp) ? checkStamp(stamp(), timestamp, proof.now) : null;
  if (early) return early;
  const surroundings = { publicUrl: proof.publicUrl ?? "", data: proof.data, timestamp: stamp };
  const parts = signedParts(request, verification, surroundings);
  if (!parts) return "signature wrong";
  const right = isSigned(parts, signatures, verification, proof);
  if (right !== true) return right === null ? "secret unusable" : "signature wrong";
  return timestamp && "data" in timestamp ? checkStamp(stamp(), timestamp, proof.now) : null;
}

/** Whether one of the keys has made one of the signatures; null when no key can be used. */
function isSigned(
  parts: readonly (string | Uint8Array)[],
  signatures: readonly string[],
  verification: Signed,
  { secrets, keys = new Map() }: Proof,
): boolean | null {
  const known = secrets.map((secret) => toKey(secret, verification)).filter((key) => key !== null);
  if (verification.scheme === "ed25519") {
    const bytesOf = (text: string) => Buffer.from(text, verification.key?.encoding ?? "utf8");
    const open = [...known.map((text) => toPublicKey(bytesOf(text))).filter((key) => key !== null), ...keys.values()];
    if (open.length === 0) return null;
    const content = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
    const bytes = signatures.map((signature) => decode(signature, verification.encoding));
    return bytes.some((one) => one?.length === 64 && open.some((key) => verifySignature(null, content, key, one)));
  }
  if (known.length === 0) return null;
  return known.some((key) => {
    const hmac = openHmac(verification, key);
    for (const part of parts) hmac.update(part);
    const expected = Buffer.from(hmac.digest(verification.encoding));
    return signatures.some((signature) => equal(Buffer.from(signature), expected));
  });
}

/** `t=1,v1=a,v1=b` by name; null when it is not written so, as when the header came twice. */
function readFields(
  text: string,
  { separator, assign }: { separator: string; assign: string },
): Map<string, string[]> | null {
  const named = new Map<string, string[]>();
  for (const item of text.split(separator)) {
    const at = item.indexOf(assign);
    if (at <= 0 || !/^[^\s,]+$/.test(item.slice(at + 1)) || /\s/.test(item)) return null;
    const name = item.slice(0, at);
    named.set(name, [...(named.get(name) ?? []), item.slice(at + 1)]);
  }
  return named;
}

function readStamp(
  timestamp: Timestamp,
  request: RawRequest,
  { named, data }: { named: Map<string, string[]> | null; data: () => unknown },
): string | undefined {
  if (!("field" in timestamp)) return pickText(timestamp, request, data);
  const values = named?.get(timestamp.field);
  return values?.length === 1 ? values[0] : undefined;
}

function checkStamp(stamp: string | undefined, timestamp: Timestamp, now: Date): Refused | null {
  const { unit = "seconds", toleranceSeconds = 300 } = timestamp;
  const [most, scale] = unit === "seconds" ? [12, 1000] : [15, 1];
  if (!stamp || !/^\d+$/.test(stamp) || stamp.length > most) return "timestamp missing";
  const away = Math.abs(now.getTime() - Number(stamp) * scale);
  return away <= toleranceSeconds * 1000 ? null : "timestamp too far from now";
}

function checkEquality(
  request: RawRequest,
  verification: EqualityVerification,
  { secrets, data }: { secrets: readonly string[]; data: () => unknown },
): Refused | null {
  const given = "basic" in verification ? request.headers.authorization : pickText(verification, request, data);
  if (!given) return "signature missing";
  const prefix = "basic" in verification ? "Basic " : (verification.prefix ?? "");
  if (!given.startsWith(prefix)) return "signature wrong";
  const value = given.slice(prefix.length);
  const bytes =
    "basic" in verification ? passwordOf(value) : Buffer.from(value, "header" in verification ? "latin1" : "utf8");
  // Hashed, so that not even the length can be measured.
  const right = bytes && secrets.some((secret) => secret !== "" && equal(hash(bytes), hash(Buffer.from(secret))));
  return right ? null : "signature wrong";
}

/** The password of `user:password` in base64; whatever the user. */
function passwordOf(text: string): Buffer | null {
  const bytes = decode(text, "base64");
  const colon = bytes?.indexOf(":") ?? -1;
  return bytes && colon >= 0 ? bytes.subarray(colon + 1) : null;
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
