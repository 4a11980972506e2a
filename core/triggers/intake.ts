import { createHash, type KeyObject, timingSafeEqual } from "node:crypto";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { RawRequest } from "../define/event.ts";
import type { Handshake, Reply, Webhook } from "../define/webhook.ts";
import type { Runs } from "../runs/runs.ts";
import type { KeptEvent } from "../store/events.ts";
import type { Refusal } from "../store/refusals.ts";
import { type ParsedBody, parseBody } from "./body.ts";
import { toEvents } from "./event.ts";
import { createKeyCache, type Keys } from "./keys.ts";
import { holds, pickText } from "./places.ts";
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

export interface Answer {
  readonly status: number;
  /** JSON, or text as it is. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface IntakeOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly runs: Pick<Runs, "dispatch" | "dispatchAll">;
  readonly refuse: (refusal: Refusal) => Promise<void>;
  readonly live: Live;
  readonly log: Log;
  readonly now: () => Date;
  /** The address of this server as the world calls it, without a path. */
  readonly publicUrl: string;
}

const DEFAULT_MAX_BYTES = 1 << 20;

/** Verify, persist, dispatch: what the door for the world does with one request. */
export interface Intake {
  receive(source: string, request: RawRequest): Promise<Answer>;
  /** The largest body that is read of a request, of which the headers are there; undefined when there is no such source. */
  maxBytes(source: string, head: () => RawRequest): number | undefined;
  /** Counts a request that was not even read. */
  refuse(source: string, reason: string): void;
  /** The secret that a sender chose and brought while there was none: to be shown to the owner, and kept nowhere else. */
  offered(source: string): string | undefined;
}

/** One request on its way in. */
interface Visit {
  readonly source: Source;
  readonly request: RawRequest;
  /** The parsed body. It is parsed once, and not before somebody asks. */
  readonly body: () => ParsedBody;
  readonly data: () => unknown;
}

export function createIntake(options: IntakeOptions): Intake {
  const keyCache = createKeyCache(options.now);
  const offers = new Map<string, string>();
  const refuse = (source: string, reason: string) => {
    options.live.publish({ kind: "refusal", id: source, text: reason });
    void options.refuse({ source, reason }).catch(() => {});
  };
  const turnAway = ({ source, request, data }: Visit, reason: string): Answer => {
    const { source: name, replies } = source.webhook;
    refuse(name, reason);
    const answer = failure(401, "webhook.unverified", `The request of "${name}" was not let in: ${reason}.`);
    return replies?.refused ? toAnswer(replies.refused, answer, { request, data }) : answer;
  };

  /** The answer to a sender that tries us out; undefined when the request is none of that. */
  const greet = (visit: Visit, method: "GET" | "POST", signed: boolean): Answer | undefined => {
    const { source, request, data } = visit;
    const found = source.webhook.handshakes?.find(
      (one) => (one.method ?? "POST") === method && !one.offers === signed && meets(one, visit),
    );
    if (!found) return undefined;
    const offer = found.offers && pickText(found.offers, request, data);
    if (offer) {
      offers.set(source.webhook.source, offer.slice(0, LONGEST_OFFER));
      refuse(source.webhook.source, "it brought its secret: `daimon doctor` shows it");
    }
    return toAnswer(found.reply, { body: {} }, { request, data });
  };

  const look = ({ source, request, data }: Visit, known?: Keys): Refused | null => {
    const sampleKey = source.sampleKey?.();
    const keys = sampleKey ? new Map([...(known ?? []), [SAMPLE_KEY, sampleKey] as const]) : known;
    const { publicUrl } = options;
    const proof = { secrets: source.secrets(), now: options.now(), publicUrl, keys, data };
    return verify(request, source.webhook.verify, proof);
  };
  const lookWithKeys = async (visit: Visit, url: string): Promise<Refused | "keys unreachable" | null> => {
    const refused = look(visit, keyCache.peek(url));
    if (refused !== "key unknown") return refused;
    try {
      return look(visit, await keyCache.refresh(url));
    } catch (error) {
      options.log.error("The keys of a token's issuer could not be fetched.", { error: String(error) });
      return "keys unreachable";
    }
  };

  const keep = async ({ source, request, body, data }: Visit): Promise<Answer> => {
    const { webhook } = source;
    const brought = toEvents(webhook, request, body());
    try {
      const kept =
        "events" in brought
          ? await options.runs.dispatchAll(brought.request, brought.events)
          : [await options.runs.dispatch(brought.event, undefined, brought.parsed)];
      for (const { duplicate } of kept) if (duplicate) refuse(webhook.source, "duplicate");
      const receipt = toReceipt(kept);
      const reply = webhook.replies?.accepted?.find((one) => holds(one.when ?? [], request, data, never));
      if (!reply) return receipt;
      const answer = toAnswer(reply, receipt, { request, data });
      return { ...answer, headers: { ...answer.headers, [EVENT_HEADER]: kept[0]!.eventId } };
    } catch (error) {
      options.log.error("An event could not be kept; its sender was asked to try again.", {
        source: webhook.source,
        error: String(error),
      });
      return later("store.unreachable", "The event could not be kept; send it again.", 5);
    }
  };

  return {
    refuse,
    offered: (name) => offers.get(name),
    maxBytes: (name, head) => {
      const source = options.sources.get(name);
      const { maxBytes = DEFAULT_MAX_BYTES, verify: by } = source?.webhook ?? {};
      if (!source || maxBytes <= DEFAULT_MAX_BYTES || by?.scheme !== "equality" || "data" in by)
        return source && maxBytes;
      // A stranger who can be told by the headers alone is not read to the end.
      const stranger = look({ source, request: head(), body: UNREAD, data: () => null });
      return stranger ? DEFAULT_MAX_BYTES : maxBytes;
    },
    async receive(name, request) {
      const source = options.sources.get(name);
      if (!source) return failure(404, "source.missing", `There is no source "${name}".`);
      const body = once(() => parseBody(request));
      const visit = { source, request, body, data: () => body().parsed };
      if (request.method === "GET") {
        if (!source.webhook.handshakes?.some((one) => one.method === "GET")) return NO_GET;
        return greet(visit, "GET", true) ?? turnAway(visit, "handshake wrong");
      }
      if (source.secrets().length === 0) {
        const greeted = greet(visit, "POST", false);
        if (greeted) return greeted;
        refuse(name, "secret missing");
        return later("source.unready", `The source "${name}" has no secret yet.`, 300);
      }
      const { verify: by } = source.webhook;
      const refused = by.scheme === "token" ? await lookWithKeys(visit, by.keys) : look(visit);
      if (refused === "secret unusable" || refused === "keys unreachable") {
        refuse(name, refused);
        return later("source.unready", `The source "${name}" cannot verify now: ${refused}.`, 60);
      }
      if (refused) return turnAway(visit, refused);
      return greet(visit, "POST", true) ?? (await keep(visit));
    },
  };
}

/** Where the event's id stands when the answer's body is what the sender wants there. */
export const EVENT_HEADER = "x-daimon-event";
const NO_GET = failure(405, "route.missing", "Webhooks are posted.");
const UNREAD = (): ParsedBody => ({ parsed: null, data: null });
const LONGEST_OFFER = 500;
const LONGEST_ECHO = 1000;
const never = () => false;

function meets({ when }: Handshake, { source, request, data }: Visit): boolean {
  return holds(when, request, data, (name, value) =>
    source.secrets(name).some((secret) => timingSafeEqual(hash(secret), hash(value))),
  );
}

const hash = (text: string) => createHash("sha256").update(text).digest();

/** 202 for what is new, 200 for what is known. */
function toReceipt(kept: readonly KeptEvent[]): Answer {
  const duplicate = kept.every((one) => one.duplicate);
  const ids = kept.length > 1 ? { ids: kept.map((one) => one.eventId) } : {};
  return {
    status: duplicate ? 200 : 202,
    body: { id: kept[0]!.eventId, ...ids, ...(duplicate ? { duplicate: true } : {}) },
  };
}

function toAnswer(
  reply: Reply,
  plain: Pick<Answer, "body">,
  { request, data }: { request: RawRequest; data: () => unknown },
): Answer {
  const { status, json, text, media = "text/plain", echo } = reply;
  if (echo) return toText(status, pickText(echo, request, data)?.slice(0, LONGEST_ECHO) ?? "", "text/plain");
  if (text !== undefined) return toText(status, text, media);
  return { status, body: (json as object | undefined) ?? plain.body };
}

/** What a stranger wrote is echoed as nothing but text. */
const toText = (status: number, body: string, media: string): Answer => ({
  ...{ status, body },
  headers: { "content-type": `${media}; charset=utf-8`, "x-content-type-options": "nosniff" },
});

function failure(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

function later(code: string, message: string, seconds: number): Answer {
  return { ...failure(503, code, message), headers: { "retry-after": String(seconds) } };
}

function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
