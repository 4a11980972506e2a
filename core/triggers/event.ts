import { createHash } from "node:crypto";
import type { NewEvent, RawRequest } from "../define/event.ts";
import { STRANGER } from "../define/label.ts";
import type { Place, Webhook } from "../define/webhook.ts";
import { type ParsedBody, parseBody } from "./body.ts";
import { toItems } from "./items.ts";
import { pickName, pickText } from "./places.ts";

/** What a verified request comes to: one event with its request, or several that share it. */
export type Brought =
  | { readonly event: NewEvent; readonly parsed: unknown }
  | { readonly events: readonly NewEvent[]; readonly request: RawRequest };

/** The events of a verified request. A body that cannot be read is kept all the same, with the reason. */
export function toEvents(webhook: Webhook, request: RawRequest, body: ParsedBody = parseBody(request)): Brought {
  const kept = hideSecret(request, webhook);
  const items = webhook.items && !body.problem ? toItems(body.parsed, webhook.items, request.body.length) : [];
  if (items === "many" || items.length === 0) {
    const problem = items === "many" ? "It holds more items than are taken apart." : body.problem;
    const event = { ...toEvent(webhook, request, { item: body.parsed }), data: body.data, request: kept };
    return { event: { ...event, ...(problem ? { problem } : {}) }, parsed: body.parsed };
  }
  const events = items.map((item, place) => ({ ...toEvent(webhook, request, { item, place }), data: item }));
  if (items.length === 1) return { event: { ...events[0]!, request: kept }, parsed: items[0] };
  return { events, request: kept };
}

function toEvent(webhook: Webhook, request: RawRequest, given: { item: unknown; place?: number }) {
  const data = () => given.item;
  const type = webhook.type.map((place) => pickName(place, request, data)).filter(Boolean);
  const key = placesOf(webhook.key).map((place) => pickText(place, request, data));
  return {
    source: webhook.source,
    type: type.join(".") || "unknown",
    key: key.filter(Boolean).join(" ") || hashOf(request.body, given.place),
    label: STRANGER,
  };
}

const placesOf = (key: Webhook["key"] = []): readonly Place[] => ("length" in key ? key : [key]);

function hashOf(body: Uint8Array, place: number | undefined): string {
  const hash = createHash("sha256").update(body).digest("hex");
  return place ? `${hash} ${place}` : hash;
}

const HIDDEN = "(secret)";

/** The request as it may be shown: where the secret itself was sent, it is not kept. */
function hideSecret(request: RawRequest, { verify }: Webhook): RawRequest {
  if (verify.scheme !== "equality" || "data" in verify) return request;
  if ("query" in verify) {
    const value = new RegExp(`([?&]${verify.query}=)[^&]*`, "g");
    return { ...request, url: request.url.replace(value, `$1${HIDDEN}`) };
  }
  const name = "basic" in verify ? "authorization" : verify.header.toLowerCase();
  return { ...request, headers: { ...request.headers, [name]: HIDDEN } };
}
