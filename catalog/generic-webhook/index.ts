import { defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";

const webhook = defineWebhook({
  source: "generic",
  description: "Whatever can post JSON and sign it",
  ...schemes.generic,
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
