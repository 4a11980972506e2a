import type { RawRequest } from "../define/event.ts";
import type { Reply } from "../define/webhook.ts";
import type { KeptEvent } from "../store/keep.ts";
import { pickText } from "./places.ts";

/** What a sender is told. */
export interface Answer {
  readonly status: number;
  /** JSON, or text as it is. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where the event's id stands when the answer's body is what the sender wants there. */
export const EVENT_HEADER = "x-daimon-event";
/** Stands beside it when that event was there before. */
export const DUPLICATE_HEADER = "x-daimon-duplicate";
const LONGEST_ECHO = 1000;

/** 202 for what is new, 200 for what is known. */
export function toReceipt(kept: readonly KeptEvent[]): Answer {
  const duplicate = kept.every((one) => one.duplicate);
  const ids = kept.length > 1 ? { ids: kept.map((one) => one.eventId) } : {};
  return {
    status: duplicate ? 200 : 202,
    body: { id: kept[0]!.eventId, ...ids, ...(duplicate ? { duplicate: true } : {}) },
  };
}

/** As the webhook wants it; `plain` where it wants no other words. */
export function toAnswer(
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

/** An error with its code, its sentence and what to do next. */
export function failure(status: number, code: string, message: string, next?: string): Answer {
  return { status, body: { error: { code, message, ...(next ? { next } : {}) } } };
}

export const missing = (source: string): Answer =>
  failure(404, "source.missing", `There is no source "${source}".`, "daimon list");

/** A source that is there, asked by another method than POST. */
export const NO_METHOD: Answer = {
  ...failure(405, "route.missing", "Webhooks are posted.", "Send it with POST."),
  headers: { allow: "POST" },
};

/** 503, or 429: the sender keeps it, and comes again after so many seconds. */
export function later(code: string, message: string, seconds: number, status = 503): Answer {
  return { ...failure(status, code, message), headers: { "retry-after": String(seconds) } };
}
