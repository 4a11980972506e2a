import type { KeyObject } from "node:crypto";
import type { Log } from "../base/log.ts";
import type { RawRequest } from "../define/event.ts";
import type { Webhook } from "../define/webhook.ts";
import { type ParsedBody, parseBody } from "./body.ts";
import { createKeyCache, type Keys } from "./keys.ts";
import { SAMPLE_KEY } from "./sign.ts";
import { type Refused, verify } from "./verify.ts";

/** A webhook with its secrets: the current one and, while it is rotated, the one before; none when it is not set. */
export interface Source {
  readonly webhook: Webhook;
  /** Of the name, or else those that verify. */
  readonly secrets: (name?: string) => readonly string[];
  /** The public half of the key by which this process signs its own samples, once there is one. */
  readonly sampleKey?: () => KeyObject | undefined;
}

/** One request on its way in. */
export interface Visit {
  readonly source: Source;
  readonly request: RawRequest;
  /** The parsed body. It is parsed once, and not before somebody asks. */
  readonly body: () => ParsedBody;
  readonly data: () => unknown;
}

/** A request at the door of its source. */
export function toVisit(source: Source, request: RawRequest): Visit {
  const body = once(() => parseBody(request));
  return { source, request, body, data: () => body().parsed };
}

function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Why a visitor is not let in; null when it is. */
export interface Check {
  /** By what is at hand. */
  now(visit: Visit, known?: Keys): Refused | null;
  /** Fetches the keys that a token names, when they are not at hand. */
  withKeys(visit: Visit, url: string): Promise<Refused | "keys unreachable" | null>;
}

/** `publicUrl` is the address of this server as the world calls it, without a path. */
export function createCheck(options: { now: () => Date; publicUrl: string; log: Log }): Check {
  const cache = createKeyCache(options.now);
  const look: Check["now"] = ({ source, request, data }, known) => {
    const sampleKey = source.sampleKey?.();
    const keys = sampleKey ? new Map([...(known ?? []), [SAMPLE_KEY, sampleKey] as const]) : known;
    const { publicUrl } = options;
    const proof = { secrets: source.secrets(), now: options.now(), publicUrl, keys, data };
    return verify(request, source.webhook.verify, proof);
  };
  return {
    now: look,
    async withKeys(visit, url) {
      const refused = look(visit, cache.peek(url));
      if (refused !== "key unknown") return refused;
      try {
        return look(visit, await cache.refresh(url));
      } catch (error) {
        options.log.error("The keys of a token's issuer could not be fetched.", { error: String(error) });
        return "keys unreachable";
      }
    },
  };
}
