import { type Context, defineCapability, defineTrigger, defineWebhook, fileNote, oneLine, schemes } from "daimon";
import { comment } from "./comment.ts";
import { readers } from "./entries.ts";
import { reconcile } from "./reconcile.ts";
import { renderTriage, triageIssue } from "./triage.ts";

const webhook = defineWebhook({
  source: "github",
  description: "Repositories and organizations on GitHub",
  ...schemes.github,
  setup: `${schemes.github.setup} Events: pushes, issues, pull requests, releases, stars.`,
});

/** Reads what came in and files it in the hub's inbox. */
async function file(context: Context, type: keyof typeof readers) {
  const note = await context.step.run("read the payload", () => readers[type](context.event));
  return { note, ...(await fileNote(context, note)) };
}

/** Files what came in, and tells the owner. */
const fileAndTell = (name: string, type: keyof typeof readers) =>
  defineTrigger({
    name,
    description: `Files ${type} in the hub's inbox and tells the owner`,
    on: { source: "github", type },
    run: async (context) => {
      const { note, path, filed } = await file(context, type);
      if (filed) await context.send({ text: `${oneLine(note.title)}\n${oneLine(note.summary)}.\nFiled as ${path}.` });
      return { path, filed };
    },
  });

const fileIssue = defineTrigger({
  name: "file-issue",
  description: "Files a new issue in the hub's inbox, has it triaged, and tells the owner",
  on: { source: "github", type: "issues.opened" },
  limits: { usd: 0.05, minutes: 3 },
  run: async (context) => {
    const { note, path, filed } = await file(context, "issues.opened");
    if (!filed) return { path, filed };
    const { triage, problem } = await triageIssue(context);
    await context.hub.append(path, renderTriage(triage, problem), `github: ${oneLine(`triage ${note.title}`, 100)}`);
    const verdict = triage ? `${triage.kind}, ${triage.urgency}${triage.demo ? ", by the demo" : ""}` : "not triaged";
    await context.send({ text: `${oneLine(note.title)} (${verdict}). Filed as ${path}.` });
    return { path, filed, triage };
  },
});

export default defineCapability({
  name: "github",
  description: "Files what happens on GitHub in the hub's inbox, triages new issues, and tells the owner.",
  webhooks: [webhook],
  triggers: [
    fileAndTell("file-push", "push"),
    fileIssue,
    fileAndTell("file-pull-request", "pull_request.opened"),
    fileAndTell("file-release", "release.published"),
    fileAndTell("file-star", "star.created"),
    fileAndTell("file-ping", "ping"),
  ],
  schedules: [reconcile],
  tools: [comment],
  secrets: [
    { name: "GITHUB_WEBHOOK_SECRET", description: "What GitHub signs its deliveries with", generate: true },
    { name: "GITHUB_TOKEN", description: "For comments, and for fetching lost deliveries", required: false },
    {
      name: "GITHUB_HOOKS",
      description: "Webhooks whose lost deliveries are fetched: owner/repo:hook-id, or organization:hook-id",
      required: false,
    },
    { name: "GITHUB_API_URL", description: "The API of a GitHub Enterprise Server", required: false },
  ],
  egress: ["api.github.com"],
});
