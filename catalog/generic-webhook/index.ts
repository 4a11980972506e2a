import { defineCapability, defineTrigger, defineWebhook } from "daimon";

const webhook = defineWebhook({
  source: "generic",
  description: "Whatever can post JSON and sign it",
  verify: {
    scheme: "hmac",
    algorithm: "sha256",
    encoding: "hex",
    header: "x-signature",
    secret: "GENERIC_WEBHOOK_SECRET",
  },
  type: [{ data: "type" }],
  key: { header: "x-delivery-id" },
  setup:
    "Post JSON with a `type` to this address. Header `X-Signature`: the HMAC-SHA256 of the body in hex, with the value " +
    "of `GENERIC_WEBHOOK_SECRET` in `home/.env` as its key. `X-Delivery-Id`, where there is one, names the delivery.",
});

/** The payload as a note. What strangers wrote stands in a fence that it cannot close. */
export function renderPayload(data: unknown, eventId: string): string {
  const text = JSON.stringify(data, null, 2).slice(0, 20_000);
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `---\nsource: ${eventId}\ntrust: untrusted\n---\n\n# A generic webhook\n\n${fence}json\n${text}\n${fence}\n`;
}

const filePayload = defineTrigger({
  name: "file-payload",
  description: "Files the payload in the hub's inbox",
  on: { source: "generic", type: "*" },
  run: async ({ event, hub, now }) => {
    const minute = now.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
    const path = `inbox/${minute}-generic-${event.id.slice(-8)}.md`;
    await hub.create(path, renderPayload(event.data, event.id), "generic: file the payload");
    return { path };
  },
});

export default defineCapability({
  name: "generic-webhook",
  description: "Takes signed JSON from anything that can post it, and files it in the hub's inbox.",
  webhooks: [webhook],
  triggers: [filePayload],
  secrets: [{ name: "GENERIC_WEBHOOK_SECRET", description: "What the sender signs with", generate: true }],
});
