import { type Context, readPayload, z } from "daimon";
import { money } from "./money.ts";

/** What happened, in words. Names and descriptions in it are what strangers wrote. */
export interface Entry {
  /** For the list: `paid`. */
  readonly kind: "paid" | "failed" | "refunded" | "disputed" | "dispute closed" | "subscription";
  /** Who did what: `12.00 EUR by Ada Lovelace: Pro plan`. */
  readonly summary: string;
  /** Stripe's id of it. */
  readonly id: string;
  /** What the owner should do about it, and by when. */
  readonly next?: string;
}

const charge = z.object({
  id: z.string(),
  amount: z.int(),
  amount_refunded: z.int(),
  currency: z.string(),
  description: z.string().nullish(),
  failure_message: z.string().nullish(),
  billing_details: z.object({ name: z.string().nullish(), email: z.string().nullish() }).nullish(),
});
const dispute = z.object({
  id: z.string(),
  amount: z.int(),
  currency: z.string(),
  reason: z.string(),
  status: z.string(),
  charge: z.string(),
  evidence_details: z.object({ due_by: z.int().nullish() }).nullish(),
});
const price = z.object({
  unit_amount: z.int().nullable(),
  currency: z.string(),
  recurring: z.object({ interval: z.string(), interval_count: z.int() }).nullish(),
});
const subscription = z.object({
  id: z.string(),
  customer: z.string(),
  status: z.string(),
  cancel_at_period_end: z.boolean(),
  items: z.object({ data: z.array(z.object({ quantity: z.int().optional(), price })) }),
});

type Charge = z.infer<typeof charge>;
type Subscription = z.infer<typeof subscription>;

/**
 * How each type is read; null when nothing happened that a person would want to know. Of the many events of one
 * payment (https://docs.stripe.com/api/events/types) these are the ones that come once for each movement of money.
 */
export const readers = {
  "charge.succeeded": reader(charge, (data) => ({
    ...{ kind: "paid", id: data.id },
    summary: `${money(data.amount, data.currency)} by ${payer(data)}`,
  })),
  "charge.failed": reader(charge, (data) => ({
    ...{ kind: "failed", id: data.id },
    summary: `${money(data.amount, data.currency)} by ${payer(data)}. ${data.failure_message ?? "No reason is given"}`,
  })),
  "charge.refunded": reader(charge, (data, before) => {
    const refunded = data.amount_refunded - (typeof before.amount_refunded === "number" ? before.amount_refunded : 0);
    const rest = data.amount - data.amount_refunded;
    const whole = rest > 0 ? ` of ${money(data.amount, data.currency)}` : "";
    return {
      ...{ kind: "refunded", id: data.id },
      summary: `${money(refunded, data.currency)}${whole} to ${payer(data)}`,
    };
  }),
  "charge.dispute.created": reader(dispute, (data) => {
    const due = data.evidence_details?.due_by;
    const by = due ? ` by ${new Date(due * 1000).toISOString().slice(0, 10)}` : "";
    return {
      ...{ kind: "disputed", id: data.id },
      summary: `${money(data.amount, data.currency)}, because of "${data.reason}" (${data.charge})`,
      next: `Answer it in Stripe's Dashboard${by}, or the money is lost.`,
    };
  }),
  "charge.dispute.closed": reader(dispute, (data) => ({
    ...{ kind: "dispute closed", id: data.id },
    summary: `${money(data.amount, data.currency)}: ${data.status} (${data.charge})`,
  })),
  "customer.subscription.created": reader(subscription, (data) => ({
    ...{ kind: "subscription", id: data.id },
    summary: `${data.customer} begins, ${plan(data)} (${data.status})`,
  })),
  "customer.subscription.updated": reader(subscription, (data, before) => {
    const changes = [
      ...("status" in before ? [`is ${data.status}, was ${before.status}`] : []),
      ...("items" in before || "quantity" in before ? [`changes to ${plan(data)}`] : []),
      ...("cancel_at_period_end" in before
        ? [data.cancel_at_period_end ? "ends with the period that is paid" : "goes on after all"]
        : []),
    ];
    if (changes.length === 0) return null;
    return { kind: "subscription", id: data.id, summary: `${data.customer} ${changes.join(" and ")}` };
  }),
  "customer.subscription.deleted": reader(subscription, (data) => ({
    ...{ kind: "subscription", id: data.id },
    summary: `${data.customer} has ended, ${plan(data)}`,
  })),
} satisfies Record<string, (event: Context["event"]) => Entry | null>;

function payer({ billing_details: billing, description }: Charge): string {
  const who = billing?.name || billing?.email || "somebody without a name";
  return description ? `${who}: ${description}` : who;
}

function plan({ items }: Subscription): string {
  const prices = items.data.map(({ quantity = 1, price: { unit_amount: amount, currency, recurring } }) => {
    const count =
      recurring && recurring.interval_count > 1
        ? `${recurring.interval_count} ${recurring.interval}s`
        : recurring?.interval;
    return `${amount === null ? "a metered price" : money(amount * quantity, currency)}${count ? ` each ${count}` : ""}`;
  });
  return prices.join(" and ");
}

/** Reads an event of one type; what is not as Stripe documents it fails for good, naming the first place. */
function reader<Data>(
  shape: z.ZodType<Data>,
  read: (data: Data, before: Record<string, unknown>) => Entry | null,
): (event: Context["event"]) => Entry | null {
  const whole = z.object({
    data: z.object({ object: shape, previous_attributes: z.record(z.string(), z.unknown()).nullish() }),
  });
  return (event) => {
    const { data } = readPayload(whole, event);
    return read(data.object, data.previous_attributes ?? {});
  };
}
