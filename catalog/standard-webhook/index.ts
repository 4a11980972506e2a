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

const secret = defineWebhook({
  source: "standard-webhook",
  description: "A sender of Standard Webhooks that shares a secret with you",
  ...schemes.standardWebhooks,
});
const key = defineWebhook({
  source: "standard-webhook-ed25519",
  description: "A sender of Standard Webhooks that signs with a key of its own",
  ...schemes.standardWebhooksPublic,
});

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure */
const payload = z.looseObject({ type: z.string(), timestamp: z.union([z.string(), z.number()]).nullish() });

/** The payload: what it means, only its sender knows. */
export function read(event: Context["event"]): Note {
  const { type, timestamp, ...rest } = readPayload(payload, event);
  return {
    kind: "webhook",
    title: `Standard Webhook: ${type}`,
    summary: `A sender of Standard Webhooks says ${type}`,
    facts: [["When", timestamp]],
    text: "data" in rest && typeof rest.data === "object" ? rest.data : rest,
  };
}

const fileFrom = (name: string, source: string) =>
  defineTrigger({
    name,
    description: "Files the payload in the hub's inbox",
    on: { source, type: "*" },
    run: async (context) =>
      await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
  });

export default defineCapability({
  name: "standard-webhook",
  description: "Takes Standard Webhooks from any sender, and files them in the hub's inbox.",
  webhooks: [secret, key],
  triggers: [fileFrom("file-payload", secret.source), fileFrom("file-ed25519-payload", key.source)],
  secrets: [
    { name: "STANDARD_WEBHOOK_SECRET", description: "What the sender signs with (whsec_…)", required: false },
    { name: "STANDARD_WEBHOOK_PUBLIC_KEY", description: "Of a sender that signs with a key (whpk_…)", required: false },
  ],
});
