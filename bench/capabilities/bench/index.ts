import { defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";

/** GitHub's deliveries, and a run for each that does nothing: what is measured is the way there. */
export default defineCapability({
  name: "bench",
  description: "Takes GitHub's deliveries and does nothing with them.",
  webhooks: [defineWebhook({ source: "github", ...schemes.github })],
  triggers: [defineTrigger({ name: "noop", on: { source: "github", type: "push" }, run: async () => {} })],
  secrets: [{ name: "GITHUB_WEBHOOK_SECRET", description: "What the load generator signs with" }],
});
