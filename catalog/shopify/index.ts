import {
  type Context,
  defineCapability,
  defineTrigger,
  defineWebhook,
  fileNote,
  type Note,
  readPayload,
  schemes,
  z,
} from "daimon";

const webhook = defineWebhook({ source: "shopify", description: "A shop on Shopify", ...schemes.shopify });

const name = z.object({ first_name: z.string().nullish(), last_name: z.string().nullish() });
const place = z.object({ city: z.string().nullish(), country: z.string().nullish() });
/** https://shopify.dev/docs/api/admin-rest/latest/resources/order */
const order = z.object({
  name: z.string(),
  total_price: z.string(),
  currency: z.string(),
  email: z.string().nullish(),
  financial_status: z.string().nullish(),
  cancel_reason: z.string().nullish(),
  note: z.string().nullish(),
  order_status_url: z.string().nullish(),
  customer: name.nullish(),
  shipping_address: place.nullish(),
  line_items: z.array(z.object({ title: z.string(), quantity: z.int(), price: z.string() })),
});
/** https://shopify.dev/docs/api/admin-rest/latest/resources/customer */
const customer = name.extend({ email: z.string().nullish(), phone: z.string().nullish(), note: z.string().nullish() });

/** What became of an order. */
const STATES: Readonly<Record<string, string>> = {
  "orders/create": "made",
  "orders/paid": "paid",
  "orders/cancelled": "canceled",
  "orders/fulfilled": "sent",
};

/** An order or a new customer. */
export function read(event: Context["event"]): Note {
  return event.type === "customers/create" ? readCustomer(event) : readOrder(event);
}

function readOrder(event: Context["event"]): Note {
  const given = readPayload(order, event);
  const who = (given.customer && nameOf(given.customer)) || given.email || "Somebody";
  const total = `${given.total_price} ${given.currency}`;
  const state = STATES[event.type] ?? "changed";
  const items = given.line_items.map(({ quantity, title, price }) => `${quantity} x ${title} (${price})`);
  return {
    kind: "order",
    title: `Shopify order: ${given.name} ${state}, ${total}`,
    summary: `Order ${given.name} of ${who} for ${total} was ${state}`,
    url: given.order_status_url,
    facts: [
      ["Customer", who],
      ["Mail", given.email],
      ["To", [given.shipping_address?.city, given.shipping_address?.country].filter(Boolean).join(", ")],
      ["Payment", given.financial_status],
      ["Canceled because", given.cancel_reason],
    ],
    text: [...items, ...(given.note ? ["", given.note] : [])].join("\n"),
  };
}

function readCustomer(event: Context["event"]): Note {
  const given = readPayload(customer, event);
  const who = nameOf(given) || given.email || "Somebody";
  return {
    kind: "customer",
    title: `Shopify: new customer ${who}`,
    summary: `${who} is a new customer`,
    facts: [
      ["Mail", given.email],
      ["Phone", given.phone],
    ],
    text: given.note,
  };
}

const nameOf = ({ first_name, last_name }: z.infer<typeof name>) => [first_name, last_name].filter(Boolean).join(" ");

const fileEvent = defineTrigger({
  name: "file-event",
  description: "Files orders and new customers in the hub's inbox",
  on: { source: "shopify", type: [...Object.keys(STATES), "customers/create"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "shopify",
  description: "Files orders and new customers of your shop in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileEvent],
  secrets: [{ name: "SHOPIFY_WEBHOOK_SECRET", description: "What Shopify signs with", required: false }],
});
