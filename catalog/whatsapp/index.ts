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

const webhook = defineWebhook({ source: "whatsapp", description: "A number on WhatsApp Business", ...schemes.meta });

const media = z.object({ caption: z.string().optional(), filename: z.string().optional() });
const said = z.object({
  from: z.string().optional(),
  /** A person who shows no number. */
  from_user_id: z.string().optional(),
  type: z.string(),
  text: z.object({ body: z.string() }).optional(),
  image: media.optional(),
  video: media.optional(),
  document: media.optional(),
  audio: z.object({ voice: z.boolean().optional() }).optional(),
  location: z
    .object({
      latitude: z.number(),
      longitude: z.number(),
      name: z.string().optional(),
      address: z.string().optional(),
    })
    .optional(),
  reaction: z.object({ emoji: z.string().optional() }).optional(),
  button: z.object({ text: z.string() }).optional(),
  interactive: z
    .object({
      button_reply: z.object({ title: z.string() }).optional(),
      list_reply: z.object({ title: z.string() }).optional(),
    })
    .optional(),
});
type Said = z.infer<typeof said>;

const around = <Value extends z.ZodRawShape>(value: Value) =>
  z.object({
    entry: z.object({
      changes: z.object({
        value: z.object({ metadata: z.object({ display_phone_number: z.string() }).optional(), ...value }),
      }),
    }),
  });

/** https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components, its lists taken apart at the door. */
const message = around({
  contacts: z.array(z.object({ profile: z.object({ name: z.string() }).optional() })).optional(),
  messages: said,
});
const status = around({
  statuses: z.object({
    recipient_id: z.string().optional(),
    errors: z
      .array(
        z.object({
          code: z.int(),
          title: z.string(),
          error_data: z.object({ details: z.string().optional() }).optional(),
        }),
      )
      .optional(),
  }),
});

/** A message that came in, or one of ours that could not be delivered. */
export function read(event: Context["event"]): Note {
  return event.type === "status.failed" ? readFailure(event) : readMessage(event);
}

function readMessage(event: Context["event"]): Note {
  const { value } = readPayload(message, event).entry.changes;
  const who = value.contacts?.[0]?.profile?.name ?? value.messages.from ?? value.messages.from_user_id ?? "Somebody";
  const words = wordsOf(value.messages);
  return {
    kind: "message",
    title: `WhatsApp: ${words}`,
    summary: `${who} wrote on WhatsApp`,
    facts: [
      ["From", who],
      ["Number", value.messages.from],
      ["To", value.metadata?.display_phone_number],
      ["Kind", value.messages.type],
    ],
    text: words,
  };
}

function readFailure(event: Context["event"]): Note {
  const { value } = readPayload(status, event).entry.changes;
  const [error] = value.statuses.errors ?? [];
  return {
    kind: "failed",
    title: `WhatsApp: a message was not delivered: ${error?.title ?? "no reason given"}`,
    summary: `WhatsApp could not deliver a message to ${value.statuses.recipient_id ?? "somebody"}`,
    facts: [
      ["To", value.statuses.recipient_id],
      ["Code", error?.code],
      ["Reason", error?.title],
    ],
    text: error?.error_data?.details,
  };
}

/** The text of a message, or what it is in words. */
function wordsOf(given: Said): string {
  const { text, image, video, document, audio, location, reaction, button, interactive } = given;
  const chosen = button?.text ?? interactive?.button_reply?.title ?? interactive?.list_reply?.title;
  if (text) return text.body;
  if (chosen) return chosen;
  if (reaction) return reaction.emoji ? `reacted with ${reaction.emoji}` : "took a reaction back";
  if (location) {
    const place = [location.name, location.address, `${location.latitude}, ${location.longitude}`];
    return `is at ${place.filter(Boolean).join(", ")}`;
  }
  if (audio) return audio.voice ? "a voice message" : "an audio file";
  const kept = image ?? video ?? document;
  return [`${/^[aeiou]/.test(given.type) ? "an" : "a"} ${given.type}`, kept?.filename, kept?.caption]
    .filter(Boolean)
    .join(": ");
}

const fileMessage = defineTrigger({
  name: "file-message",
  description: "Files messages, and failures of our own, in the hub's inbox",
  on: { source: "whatsapp", type: ["message", "message.*", "status.failed"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "whatsapp",
  description: "Files what comes in on your WhatsApp Business number in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileMessage],
  secrets: [
    { name: "WHATSAPP_APP_SECRET", description: "What Meta signs with", required: false },
    { name: "WHATSAPP_VERIFY_TOKEN", description: "By which Meta tries the address", generate: true },
  ],
});
