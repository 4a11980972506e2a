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

const webhook = defineWebhook({ source: "telegram", description: "A Telegram bot", ...schemes.telegram });

const person = z.object({
  first_name: z.string(),
  last_name: z.string().optional(),
  username: z.string().optional(),
});
/** https://core.telegram.org/bots/api#message */
const message = z.object({
  from: person.optional(),
  chat: z.object({ id: z.int(), type: z.string(), title: z.string().optional(), username: z.string().optional() }),
  message_id: z.int(),
  text: z.string().optional(),
  caption: z.string().optional(),
  photo: z.array(z.unknown()).optional(),
  voice: z.object({ duration: z.int() }).optional(),
  audio: z.object({ title: z.string().optional() }).optional(),
  video: z.unknown().optional(),
  sticker: z.object({ emoji: z.string().optional() }).optional(),
  document: z.object({ file_name: z.string().optional() }).optional(),
  location: z.object({ latitude: z.number(), longitude: z.number() }).optional(),
});
/** https://core.telegram.org/bots/api#update */
const update = z.object({
  message: message.optional(),
  edited_message: message.optional(),
  channel_post: message.optional(),
});

/** A message, as a person reads it. */
export function read(event: Context["event"]): Note {
  const given = readPayload(update, event);
  const said = given.message ?? given.edited_message ?? given.channel_post;
  const { chat, from, message_id: id } = readPayload(message, { ...event, data: said });
  const who = from ? nameOf(from) : (chat.title ?? "A channel");
  const where = chat.type === "private" ? "" : ` in ${chat.title ?? "a chat"}`;
  const words = wordsOf(said!);
  return {
    kind: "message",
    title: `Telegram: ${words}`,
    summary: `${who} ${given.edited_message ? "changed a message" : "wrote"} on Telegram${where}`,
    url: chat.username ? `https://t.me/${chat.username}${chat.type === "private" ? "" : `/${id}`}` : null,
    facts: [
      ["From", who],
      ["Chat", chat.title],
      ["Chat id", chat.id],
    ],
    text: words,
  };
}

function nameOf({ first_name, last_name, username }: z.infer<typeof person>): string {
  const name = [first_name, last_name].filter(Boolean).join(" ");
  return username ? `${name} (@${username})` : name;
}

/** The text of a message, or what it is in words. */
function wordsOf(said: z.infer<typeof message>): string {
  const { text, caption, photo, voice, audio, video, sticker, document, location } = said;
  if (text) return text;
  const kinds = [
    photo && "a photo",
    voice && `a voice message of ${voice.duration} s`,
    audio && `a piece of audio${audio.title ? `, ${audio.title}` : ""}`,
    video !== undefined && "a video",
    sticker && `a sticker ${sticker.emoji ?? ""}`,
    document && `a file${document.file_name ? `, ${document.file_name}` : ""}`,
    location && `a place: ${location.latitude}, ${location.longitude}`,
  ];
  const kind = kinds.find(Boolean) || "a message without text";
  return caption ? `${kind}: ${caption}` : kind;
}

const fileMessage = defineTrigger({
  name: "file-message",
  description: "Files messages to the bot in the hub's inbox",
  on: { source: "telegram", type: ["message", "edited_message", "channel_post"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "telegram",
  description: "Files what is written to your Telegram bot in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileMessage],
  secrets: [{ name: "TELEGRAM_SECRET_TOKEN", description: "What Telegram shows with each update", generate: true }],
});
