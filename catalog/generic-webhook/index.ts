import { type Context, defineCapability, defineTrigger, defineWebhook, fileNote, type Note, schemes } from "daimon";

const webhook = defineWebhook({
  source: "generic",
  description: "Whatever can post JSON and sign it",
  ...schemes.generic,
});

/** The payload: what it means, only its sender knows. */
export function read({ type, data }: Context["event"]): Note {
  return {
    kind: "webhook",
    title: `Webhook: ${type}`,
    summary: `A sender of your own says ${type}`,
    text: typeof data === "object" ? data : String(data),
  };
}

const filePayload = defineTrigger({
  name: "file-payload",
  description: "Files the payload in the hub's inbox",
  on: { source: "generic", type: "*" },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "generic-webhook",
  description: "Takes signed JSON from anything that can post it, and files it in the hub's inbox.",
  webhooks: [webhook],
  triggers: [filePayload],
  secrets: [{ name: "GENERIC_WEBHOOK_SECRET", description: "What the sender signs with", generate: true }],
});
