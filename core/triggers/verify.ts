import { createHmac, timingSafeEqual } from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { HmacVerification, Verification } from "../define/webhook.ts";

/** Why a request is not let in; `null` when it is. */
export type Refused = "signature missing" | "signature wrong" | "timestamp missing" | "timestamp too far from now";

/**
 * Proves over the exact bytes, in constant time, that the sender knows one of the secrets (the current one and,
 * while it is rotated, the one before). A pure function of the request, the secrets and the time.
 */
export function verify(
  request: RawRequest,
  verification: Verification,
  secrets: readonly string[],
  now: Date,
): Refused | null {
  const given = request.headers[verification.header.toLowerCase()];
  if (!given) return "signature missing";
  if (verification.prefix && !given.startsWith(verification.prefix)) return "signature wrong";
  const value = given.slice(verification.prefix?.length ?? 0);
  if (verification.scheme === "equality") {
    return secrets.some((secret) => equal(value, secret)) ? null : "signature wrong";
  }
  const late = checkTimestamp(request, verification, now);
  if (late) return late;
  const expected = secrets.map((secret) => sign(request, verification, secret));
  return expected.some((signature) => equal(value, signature)) ? null : "signature wrong";
}

/** The headers that make a request verify: what `daimon send` and the tests put on it. */
export function signatureHeaders(
  request: RawRequest,
  verification: Verification,
  secret: string,
  now: Date,
): Record<string, string> {
  const prefix = verification.prefix ?? "";
  if (verification.scheme === "equality") return { [verification.header]: prefix + secret };
  const stamp: Record<string, string> = verification.timestamp
    ? { [verification.timestamp.header.toLowerCase()]: String(Math.floor(now.getTime() / 1000)) }
    : {};
  const stamped = { ...request, headers: { ...request.headers, ...stamp } };
  return { ...stamp, [verification.header]: prefix + sign(stamped, verification, secret) };
}

function sign(request: RawRequest, verification: HmacVerification, secret: string): string {
  const hmac = createHmac(verification.algorithm, secret);
  for (const part of (verification.signed ?? "{body}").split(/(\{[^}]+\})/)) {
    if (part === "{body}") hmac.update(request.body);
    else if (part.startsWith("{header:")) hmac.update(request.headers[part.slice(8, -1).toLowerCase()] ?? "");
    else hmac.update(part);
  }
  return hmac.digest(verification.encoding);
}

function checkTimestamp(request: RawRequest, verification: HmacVerification, now: Date): Refused | null {
  const { timestamp } = verification;
  if (!timestamp) return null;
  const given = request.headers[timestamp.header.toLowerCase()];
  if (!given || !/^\d{1,12}$/.test(given)) return "timestamp missing";
  const seconds = Math.abs(now.getTime() / 1000 - Number(given));
  return seconds <= timestamp.toleranceSeconds ? null : "timestamp too far from now";
}

function equal(one: string, other: string): boolean {
  const left = Buffer.from(one);
  const right = Buffer.from(other);
  return left.length === right.length && timingSafeEqual(left, right);
}
