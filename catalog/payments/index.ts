import { type Context, defineCapability, defineTrigger, defineWebhook, literal, oneLine, schemes } from "daimon";
import { type Entry, readers } from "./entries.ts";
import { reconcile } from "./reconcile.ts";

const TITLES = {
  ...{ paid: "Paid", failed: "Payment failed", refunded: "Refunded", disputed: "Disputed" },
  ...{ "dispute closed": "Dispute closed", subscription: "Subscription" },
} satisfies Record<Entry["kind"], string>;

/** One list for each month: `areas/payments/2026-11.md`, a line for each entry. */
async function file({ event, step, hub }: Context, entry: Entry, time: Date): Promise<string> {
  const [month, stamp] = [time.toISOString().slice(0, 7), time.toISOString().slice(0, 16).replace("T", " ")];
  const path = `areas/payments/${month}.md`;
  const begun = await step.run("look for the list", () => hub.read(path).then(() => true, isMissing));
  const line = `- ${stamp} **${entry.kind}** ${literal(entry.summary)} (\`${entry.id}\`, ${event.id})\n`;
  await hub.append(path, begun ? line : `# Payments, ${month}\n\n${line}`, `stripe: ${entry.kind} ${entry.id}`);
  return path;
}

const isMissing = (error: { code?: string }): false => {
  if (error.code === "hub.missing") return false;
  throw error;
};

const record = defineTrigger<{ created: number }>({
  name: "record",
  description: "Lists each payment, refund, dispute and subscription in the hub, and tells the owner",
  on: { source: "stripe", type: Object.keys(readers) },
  // One at a time: the first of a month begins its list.
  concurrency: { limit: 1 },
  run: async (context) => {
    const { event, step, send } = context;
    const entry = await step.run("read the event", () => readers[event.type as keyof typeof readers](event));
    if (!entry) return { told: false };
    const path = await file(context, entry, new Date(event.data.created * 1000));
    const lines = [`${TITLES[entry.kind]}: ${oneLine(entry.summary)}.`, ...(entry.next ? [entry.next] : [])];
    await send({ text: lines.join("\n") });
    return { told: true, path };
  },
});

export default defineCapability({
  name: "payments",
  description: "Lists what Stripe takes in, gives back and loses in the hub, and tells the owner.",
  webhooks: [defineWebhook({ source: "stripe", description: "Payments of a Stripe account", ...schemes.stripe })],
  triggers: [record],
  schedules: [reconcile],
  secrets: [
    { name: "STRIPE_WEBHOOK_SECRET", description: "What Stripe signs with (whsec_…)", required: false },
    {
      name: "STRIPE_API_KEY",
      description: "A restricted key that may read events, to fetch what was missed (rk_…)",
      required: false,
    },
  ],
  egress: ["api.stripe.com"],
});
