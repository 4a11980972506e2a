import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";

export type Keys = ReadonlyMap<string, KeyObject>;

/** The public keys that others publish, kept for as long as they say. */
export interface KeyCache {
  /** What is known of `url` and not out of date. */
  peek(url: string): Keys | undefined;
  /** Fetches them again, at most once a minute and one request at a time; what is known when that fails. Throws when nothing is. */
  refresh(url: string): Promise<Keys>;
}

interface Entry {
  readonly keys: Keys;
  readonly askedAt: number;
  readonly until: number;
}

const MINUTE = 60_000;
/** Keys are kept at least and at most so long, whatever their answer says; and, when they cannot be had, at most a day. */
const [SHORTEST, LONGEST] = [5 * MINUTE, 24 * 60 * MINUTE];
/** Milliseconds for one answer, and until the next try after one that never came. */
const PATIENCE = 5000;
const MOST_BYTES = 100_000;
const MOST_KEYS = 50;

export function createKeyCache(now: () => Date): KeyCache {
  const entries = new Map<string, Entry>();
  const failures = new Map<string, { at: number; error: unknown }>();
  const underway = new Map<string, Promise<Keys>>();
  const load = async (url: string): Promise<Keys> => {
    const before = entries.get(url);
    const askedAt = now().getTime();
    try {
      const { keys, seconds } = await fetchKeys(url);
      const kept = Math.min(Math.max(seconds * 1000, SHORTEST), LONGEST);
      entries.set(url, { keys, askedAt, until: askedAt + kept });
      return keys;
    } catch (error) {
      if (!before || before.until + LONGEST < askedAt) {
        failures.set(url, { at: askedAt, error });
        throw error;
      }
      entries.set(url, { ...before, askedAt });
      return before.keys;
    } finally {
      underway.delete(url);
    }
  };
  return {
    peek(url) {
      const entry = entries.get(url);
      return entry && now().getTime() < entry.until ? entry.keys : undefined;
    },
    async refresh(url) {
      const entry = entries.get(url);
      if (entry && now().getTime() - entry.askedAt < MINUTE) return entry.keys;
      const failure = failures.get(url);
      if (failure && now().getTime() - failure.at < PATIENCE) throw failure.error;
      const loading = underway.get(url) ?? load(url);
      underway.set(url, loading);
      return await loading;
    },
  };
}

async function fetchKeys(url: string): Promise<{ keys: Keys; seconds: number }> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok || !response.body) throw new Error(`${url} answers ${response.status}`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    if (length > MOST_BYTES) throw new Error(`${url} holds more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  const set = JSON.parse(Buffer.concat(parts).toString("utf8")) as { keys?: (JsonWebKey & { kid?: string })[] };
  const keys = (set.keys ?? []).slice(0, MOST_KEYS).flatMap(readKey);
  if (keys.length === 0) throw new Error(`${url} holds no RSA key`);
  const age = /\bmax-age=(\d{1,9})\b/.exec(response.headers.get("cache-control") ?? "")?.[1];
  return { keys: new Map(keys), seconds: Number(age ?? 0) };
}

/** Only keys for RS256, and none that could be guessed. */
function readKey(jwk: JsonWebKey & { kid?: string }): [string, KeyObject][] {
  if (jwk.kty !== "RSA" || typeof jwk.kid !== "string" || (jwk.alg ?? "RS256") !== "RS256") return [];
  const key = createPublicKey({ key: jwk, format: "jwk" });
  return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? [[jwk.kid, key]] : [];
}
