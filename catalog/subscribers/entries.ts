import { type Context, literal, oneLine, readPayload, z } from "daimon";

/** https://developers.kit.com/webhooks/event-types */
export const KINDS = {
  "subscriber.created": "new",
  "subscriber.activated": "confirmed",
  "subscriber.subscribed_to_form": "form",
  "subscriber.tag_added": "tagged",
  "subscriber.tag_removed": "untagged",
  "subscriber.unsubscribed": "left",
  "subscriber.bounced": "bounced",
  "subscriber.complained": "complained",
} as const;
export type Kind = (typeof KINDS)[keyof typeof KINDS];

const named = z.object({ name: z.string() }).nullish();
const item = z.object({
  events: z.object({
    created: z.iso.datetime({ offset: true }),
    data: z.object({
      subscriber: z.object({ id: z.int(), first_name: z.string().nullish(), email_address: z.string() }),
      tag: named,
      form: named,
    }),
  }),
});

/** What happened to one subscriber, as a line for the list. The address in it is masked. */
export interface Entry {
  readonly day: string;
  readonly kind: Kind;
  readonly line: string;
}

/** `- 14:32 new: Ada, a…@example.com (987654)`; of a tag or a form with its name. The hour is UTC. */
export function readEntry(event: Context["event"]): Entry {
  const { created, data } = readPayload(item, event).events;
  const { subscriber, tag, form } = data;
  const time = new Date(created).toISOString();
  const kind = KINDS[event.type as keyof typeof KINDS];
  const what = (tag ?? form) ? ` "${literal((tag ?? form)!.name)}"` : "";
  const who = [subscriber.first_name, mask(subscriber.email_address)].filter(Boolean).map((text) => literal(text!));
  const line = `- ${time.slice(11, 16)} ${kind}${what}: ${who.join(", ")} (${subscriber.id})\n`;
  return { day: time.slice(0, 10), kind, line };
}

/** `a…@example.com`: whom one knows one recognizes, and nobody can write to it. */
export function mask(address: string): string {
  const [, first = "", domain = ""] = /^(.).*@([^@]+)$/su.exec(oneLine(address)) ?? [];
  return `${first}…@${domain}`;
}

/** How many lines of each kind a list has. */
export function count(text: string): Map<Kind, number> {
  const kinds = [...text.matchAll(/^- \d\d:\d\d ([a-z]+)\b/gm)].map(([, kind]) => kind as Kind);
  const known = kinds.filter((kind) => Object.values(KINDS).includes(kind));
  return new Map([...Map.groupBy(known, (kind) => kind)].map(([kind, all]) => [kind, all.length]));
}
