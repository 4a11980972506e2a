import { createHash, createHmac, createPublicKey, type Hmac, type KeyObject } from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { Ed25519Verification, HmacVerification, Place } from "../define/webhook.ts";
import { isForm } from "./body.ts";
import { pickText, queryOf } from "./places.ts";

export type Signed = HmacVerification | Ed25519Verification;

/** What a signature is looked at with, beside the request. */
export interface Surroundings {
  /** The address of this server as the world calls it, without a path: `https://daimon.example`. */
  readonly publicUrl: string;
  readonly data: () => unknown;
  /** The time of signing, as it is written. */
  readonly timestamp: () => string | undefined;
}

/**
 * What the sender signed, in parts; null when it cannot have been signed so. A header that stands before a separator may
 * not hold it: else the end of one part could be passed off as the beginning of the next.
 */
export function signedParts(
  request: RawRequest,
  verification: Signed,
  { publicUrl, data, timestamp }: Surroundings,
): (string | Uint8Array)[] | null {
  const template = verification.signed ?? "{body}";
  if (template === "{body}") return [request.body];
  if (template.includes("{url}{body}") && !isBordered(request)) return null;
  const parts: (string | Uint8Array)[] = [];
  const pieces = template.split(/(\{[^}]+\})/);
  for (const [place, piece] of pieces.entries()) {
    const [, name, path] = /^\{(\w+)(?::(.+))?\}$/.exec(piece) ?? [];
    if (name === undefined) {
      parts.push(piece);
      continue;
    }
    const text = name === "body" ? request.body : partOf(name, path);
    const after = pieces[place + 1];
    if (text === undefined || (name === "header" && after && String(text).includes(after))) return null;
    parts.push(text);
  }
  return parts;

  function partOf(name: string, path: string | undefined): string | undefined {
    if (name === "timestamp") return timestamp();
    if (name === "method") return request.method;
    if (name === "url") return publicUrl + plain(request.url, verification);
    if (name === "form") return formText(request, verification);
    return pickText({ [name]: path! } as Place, request, data);
  }
}

/** Whether it can be told where the URL ends and the body begins, when one is signed right behind the other. */
function isBordered({ url, body }: RawRequest): boolean {
  const ofUrl = /^[\w.~:/?#@!$&'()*+,;=%-]*$/;
  return ofUrl.test(url) && (body.length === 0 || !ofUrl.test(String.fromCharCode(body[0]!)));
}

function plain(url: string, verification: Signed): string {
  const characters = "plain" in verification ? verification.plain : undefined;
  if (!characters) return url;
  return url.replace(/%[0-9a-f]{2}/gi, (code) => {
    const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return characters.includes(character) ? character : code;
  });
}

/** Fields sorted by name, each name with its values; a body that is no form must be the one whose hash the URL holds. */
function formText(request: RawRequest, verification: Signed): string | undefined {
  const parameter = "bodyHash" in verification ? verification.bodyHash : undefined;
  const hash = parameter && queryOf(request).get(parameter);
  if (hash) return createHash("sha256").update(request.body).digest("hex") === hash ? "" : undefined;
  if (request.body.length === 0) return "";
  if (!isForm(request)) return undefined;
  const form = new URLSearchParams(Buffer.from(request.body).toString("utf8"));
  const names = [...new Set(form.keys())].sort();
  return names.flatMap((name) => [...new Set(form.getAll(name))].sort().map((value) => name + value)).join("");
}

/** The key as it is written; null when it is none, and so would let in whoever knows that. */
export function toKey(secret: string, { key }: Signed): string | null {
  const text = key?.prefix && secret.startsWith(key.prefix) ? secret.slice(key.prefix.length) : secret;
  if (!key) return text || null;
  return (key.encoding === "hex" ? /^([0-9a-f]{2})+$/i : /^[\w+/-]{2,}={0,2}$/).test(text) ? text : null;
}

/** An HMAC under a key as it is written: node:crypto is four times faster with text than with bytes. */
export function openHmac({ algorithm, key }: HmacVerification, text: string): Hmac {
  return createHmac(algorithm, text, { encoding: key?.encoding ?? "utf8" });
}

/** The bytes of a text that is written in exactly this encoding, else null. */
export function decode(text: string, encoding: "hex" | "base64" | "base64url"): Buffer | null {
  const bytes = Buffer.from(text, encoding);
  return bytes.toString(encoding) === text ? bytes : null;
}

const ED25519 = Buffer.from("302a300506032b6570032100", "hex");

/** A raw public key (RFC 8032) as node:crypto takes it, or null. */
export function toPublicKey(bytes: Uint8Array): KeyObject | null {
  if (bytes.length !== 32) return null;
  return createPublicKey({ key: Buffer.concat([ED25519, bytes]), format: "der", type: "spki" });
}
