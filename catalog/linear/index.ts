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

const webhook = defineWebhook({ source: "linear", description: "A workspace on Linear", ...schemes.linear });

const common = { actor: z.object({ name: z.string().nullish() }).nullish(), url: z.string().nullish() };
/** https://linear.app/developers/webhooks#data-change-events-payload */
const issue = z.object({
  ...common,
  data: z.object({
    identifier: z.string().optional(),
    number: z.number().optional(),
    title: z.string(),
    description: z.string().nullish(),
    priorityLabel: z.string().nullish(),
    state: z.object({ name: z.string() }).nullish(),
    team: z.object({ name: z.string() }).nullish(),
    assignee: z.object({ name: z.string() }).nullish(),
  }),
  updatedFrom: z.object({ stateId: z.string().optional() }).nullish(),
});
const comment = z.object({
  ...common,
  data: z.object({
    body: z.string(),
    user: z.object({ name: z.string() }).nullish(),
    issue: z.object({ title: z.string() }).nullish(),
  }),
});

/** A new issue, one whose state has changed, a comment; null for another change. */
export function read(event: Context["event"]): Note | null {
  return event.type === "Comment.create" ? readComment(event) : readIssue(event);
}

function readIssue(event: Context["event"]): Note | null {
  const { data, actor, url, updatedFrom } = readPayload(issue, event);
  const changed = event.type === "Issue.update";
  if (changed && !updatedFrom?.stateId) return null;
  const name = data.identifier ?? `#${data.number ?? "?"}`;
  const state = data.state?.name ?? "another state";
  return {
    kind: "issue",
    title: `Linear ${name}: ${data.title}`,
    summary: `${actor?.name ?? "Somebody"} ${changed ? `moved ${name} to ${state}` : `opened ${name}`}`,
    url,
    facts: [
      ["State", data.state?.name],
      ["Priority", data.priorityLabel],
      ["Team", data.team?.name],
      ["Assignee", data.assignee?.name],
    ],
    text: data.description,
  };
}

function readComment(event: Context["event"]): Note {
  const { data, actor, url } = readPayload(comment, event);
  const about = data.issue?.title ?? "an issue";
  return {
    kind: "comment",
    title: `Linear comment: ${about}`,
    summary: `${actor?.name ?? data.user?.name ?? "Somebody"} commented on ${about}`,
    url,
    text: data.body,
  };
}

const fileChange = defineTrigger({
  name: "file-change",
  description: "Files new issues, issues that change their state, and comments in the hub's inbox",
  on: { source: "linear", type: ["Issue.create", "Issue.update", "Comment.create"] },
  run: async (context) => {
    const note = await context.step.run("read the payload", () => read(context.event));
    return note ? await fileNote(context, note) : { filed: false, why: "its state did not change" };
  },
});

export default defineCapability({
  name: "linear",
  description: "Files what happens to issues on Linear in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileChange],
  secrets: [{ name: "LINEAR_WEBHOOK_SECRET", description: "What Linear signs with", required: false }],
});
