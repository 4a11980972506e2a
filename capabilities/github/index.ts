import { defineCapability, defineTrigger, defineWebhook } from "daimon";
import { readers } from "./entries.ts";
import { notePath, oneLine, renderNote } from "./note.ts";

const webhook = defineWebhook({
  source: "github",
  description: "Repositories and organizations on GitHub",
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  verify: {
    scheme: "hmac",
    algorithm: "sha256",
    encoding: "hex",
    header: "x-hub-signature-256",
    prefix: "sha256=",
    secret: "GITHUB_WEBHOOK_SECRET",
  },
  type: [{ header: "x-github-event" }, { data: "action" }],
  key: { header: "x-github-delivery" },
  setup:
    "On GitHub, in the repository or organization: *Settings → Webhooks → Add webhook*. Payload URL: this address. " +
    "Content type: `application/json`. Secret: the value of `GITHUB_WEBHOOK_SECRET` in `home/.env`. " +
    "Events: pushes, issues, pull requests, releases, stars. GitHub sends a ping at once.",
});

/** Files what came into the hub's inbox, and tells the owner in one line. */
const file = (name: string, type: keyof typeof readers) =>
  defineTrigger({
    name,
    description: `Files ${type} in the hub's inbox and tells the owner`,
    on: { source: "github", type },
    run: async ({ event, step, hub, send }) => {
      const entry = await step.run("read the payload", () => readers[type](event.data));
      const path = notePath(entry, event.id, event.time);
      const note = renderNote(entry, event.id, event.time);
      const filed = await hub.create(path, note, `github: ${oneLine(entry.summary, 100)}`).then(() => true, isThere);
      if (filed) await send({ text: `${oneLine(entry.title)}\n${oneLine(entry.summary)}.\nFiled as ${path}.` });
      return { path, filed };
    },
  });

/** A replayed event is filed already; that is as good. */
const isThere = (error: { code?: string }): false => {
  if (error.code === "hub.exists") return false;
  throw error;
};

export default defineCapability({
  name: "github",
  description: "Files what happens on GitHub in the hub's inbox, and tells the owner.",
  webhooks: [webhook],
  triggers: [
    file("file-push", "push"),
    file("file-issue", "issues.opened"),
    file("file-pull-request", "pull_request.opened"),
    file("file-release", "release.published"),
    file("file-star", "star.created"),
    file("file-ping", "ping"),
  ],
  secrets: [{ name: "GITHUB_WEBHOOK_SECRET", description: "What GitHub signs its deliveries with", generate: true }],
});
