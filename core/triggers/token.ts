import { type KeyObject, verify } from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { TokenVerification } from "../define/webhook.ts";
import { decode } from "./signed.ts";

export type TokenRefused =
  | "signature missing"
  | "signature wrong"
  | "token expired"
  | "token of another time"
  | "token for somebody else"
  | "token of somebody else"
  | "key unknown";

/** Seconds by which the clocks of the world may differ. */
const LEEWAY = 60;
const LONGEST = 8192;

interface Claims {
  readonly [name: string]: unknown;
}

/**
 * A JSON Web Token signed with RS256 (RFC 7519, RFC 7515): who issued it, for whom, until when, and by which of `keys`.
 * `key unknown` is said of a token that is right in all else.
 */
export function checkToken(
  request: RawRequest,
  verification: TokenVerification,
  given: {
    readonly secrets: readonly string[];
    readonly now: Date;
    readonly audience: string;
    readonly keys: ReadonlyMap<string, KeyObject>;
  },
): TokenRefused | null {
  const text = request.headers[verification.header.toLowerCase()];
  const prefix = verification.prefix ?? "";
  if (!text) return "signature missing";
  const parts = text.slice(prefix.length).split(".");
  if (!text.startsWith(prefix) || parts.length !== 3 || text.length > LONGEST) return "signature wrong";
  const [head, claims] = [readPart(parts[0]!), readPart(parts[1]!)];
  const signature = decode(parts[2]!, "base64url");
  if (!claims || !signature || head?.alg !== "RS256" || typeof head.kid !== "string") return "signature wrong";
  const refused = checkClaims(claims, verification, given);
  if (refused) return refused;
  const key = given.keys.get(head.kid);
  if (!key) return "key unknown";
  const right = verify("sha256", Buffer.from(`${parts[0]}.${parts[1]}`), key, signature);
  return right ? null : "signature wrong";
}

function checkClaims(
  claims: Claims,
  verification: TokenVerification,
  { secrets, now, audience }: { secrets: readonly string[]; now: Date; audience: string },
): TokenRefused | null {
  const seconds = now.getTime() / 1000;
  if (!verification.issuers.includes(String(claims.iss))) return "token of somebody else";
  if (claims.aud !== (verification.audience ?? audience)) return "token for somebody else";
  if (typeof claims.exp !== "number" || claims.exp + LEEWAY < seconds) return "token expired";
  if (typeof claims.iat !== "number" || claims.iat - LEEWAY > seconds) return "token of another time";
  const wanted = Object.entries(verification.claims ?? {});
  if (wanted.some(([name, value]) => claims[name] !== value)) return "token of somebody else";
  return secrets.includes(String(claims[verification.claim])) ? null : "token of somebody else";
}

function readPart(part: string): Claims | null {
  try {
    const value: unknown = JSON.parse(decode(part, "base64url")?.toString("utf8") ?? "");
    return typeof value === "object" && value !== null ? (value as Claims) : null;
  } catch {
    return null;
  }
}
