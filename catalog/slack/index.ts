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

const webhook = defineWebhook({ source: "slack", description: "A Slack app", ...schemes.slack });

/** https://docs.slack.dev/reference/events/app_mention and https://docs.slack.dev/reference/events/message.im */
const message = z.object({
  team_id: z.string(),
  event: z.object({
    type: z.string(),
    channel: z.string(),
    channel_type: z.string().optional(),
    user: z.string().optional(),
    text: z.string().optional(),
    thread_ts: z.string().optional(),
    bot_id: z.string().optional(),
    subtype: z.string().optional(),
    files: z.array(z.object({ name: z.string().nullish() })).optional(),
  }),
});

/** https://docs.slack.dev/interactivity/implementing-slash-commands */
const command = z.object({
  team_id: z.string(),
  channel_id: z.string(),
  channel_name: z.string().optional(),
  user_id: z.string(),
  user_name: z.string().optional(),
  command: z.string(),
  text: z.string().default(""),
});

/** What was said to the app; null for what a bot wrote, and for edits and the like. */
export function read(event: Context["event"]): Note | null {
  return event.type === "command" ? readCommand(event) : readMessage(event);
}

function readMessage(event: Context["event"]): Note | null {
  const { team_id: team, event: said } = readPayload(message, event);
  if (said.bot_id || (said.subtype && said.subtype !== "file_share")) return null;
  const text = plain(said.text ?? "");
  const mention = said.type === "app_mention";
  return {
    kind: mention ? "mention" : "message",
    title: `Slack: ${text || "a file"}`,
    summary: `${said.user ?? "Somebody"} ${mention ? "mentioned the app" : "wrote"} in ${said.channel}`,
    url: openIn(team, said.channel),
    facts: [
      ["From", said.user],
      ["Channel", said.channel],
      ["Thread", said.thread_ts],
      ["Files", said.files?.map((file) => file.name ?? "a file").join(", ")],
    ],
    text,
  };
}

function readCommand(event: Context["event"]): Note {
  const given = readPayload(command, event);
  const who = given.user_name ?? given.user_id;
  return {
    kind: "command",
    title: `Slack: ${given.command} ${given.text}`,
    summary: `${who} gave the command ${given.command} in ${given.channel_name ?? given.channel_id}`,
    url: openIn(given.team_id, given.channel_id),
    facts: [
      ["From", who],
      ["Channel", given.channel_name ?? given.channel_id],
    ],
    text: plain(given.text),
  };
}

/** https://docs.slack.dev/interactivity/deep-linking */
const openIn = (team: string, channel: string) =>
  `https://slack.com/app_redirect?${new URLSearchParams({ team, channel })}`;

/** `<@U1>`, `<https://a|b>` and `&amp;` as a person reads them. https://docs.slack.dev/messaging/formatting-message-text */
function plain(text: string): string {
  return text
    .replace(/<([@#!])([^>|]*)(?:\|([^>]*))?>/g, (_, sign: string, id: string, name?: string) => sign + (name || id))
    .replace(/<([^>|]+)\|([^>]+)>/g, "$2 ($1)")
    .replace(/<([^>|]+)>/g, "$1")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&")
    .trim();
}

const fileMessage = defineTrigger({
  name: "file-message",
  description: "Files mentions, direct messages and slash commands in the hub's inbox",
  on: { source: "slack", type: ["event_callback.app_mention", "event_callback.message", "command"] },
  run: async (context) => {
    const note = await context.step.run("read the payload", () => read(context.event));
    return note ? await fileNote(context, note) : { filed: false, why: "a bot wrote it, or it is no new message" };
  },
});

export default defineCapability({
  name: "slack",
  description: "Files what is said to your Slack app in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileMessage],
  secrets: [{ name: "SLACK_SIGNING_SECRET", description: "What Slack signs with", required: false }],
});
