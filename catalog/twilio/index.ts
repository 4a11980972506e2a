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

const webhook = defineWebhook({ source: "twilio", description: "A number on Twilio", ...schemes.twilio });

const where = { From: z.string(), To: z.string(), FromCity: z.string().optional(), FromCountry: z.string().optional() };
/** https://www.twilio.com/docs/messaging/guides/webhook-request */
const message = z.object({
  ...where,
  Body: z.string().default(""),
  ProfileName: z.string().optional(),
  NumMedia: z.coerce.number().default(0),
});
/** https://www.twilio.com/docs/messaging/api/message-resource#twilios-request-to-the-statuscallback-url */
const status = z.object({ To: z.string(), MessageStatus: z.string(), ErrorCode: z.string().optional() });
/** https://www.twilio.com/docs/voice/twiml#request-parameters */
const call = z.object({ ...where, CallerName: z.string().optional() });

/** A text, a call, or a text of ours that did not arrive. */
export function read(event: Context["event"]): Note {
  if (event.type === "message") return readMessage(event);
  return event.type.startsWith("call") ? readCall(event) : readStatus(event);
}

function readMessage(event: Context["event"]): Note {
  const given = readPayload(message, event);
  const media = given.NumMedia > 0 ? `${given.NumMedia} ${given.NumMedia === 1 ? "file" : "files"}` : null;
  const who = given.ProfileName ?? given.From;
  return {
    kind: "text",
    title: `Text: ${given.Body || media || "(empty)"}`,
    summary: `${who} sent a text to ${given.To}`,
    facts: [
      ["From", given.From],
      ["From where", placeOf(given)],
      ["To", given.To],
      ["With", media],
    ],
    text: given.Body,
  };
}

function readCall(event: Context["event"]): Note {
  const given = readPayload(call, event);
  const who = given.CallerName || given.From;
  return {
    kind: "call",
    title: `Call: from ${who}`,
    summary: `${who} calls ${given.To}`,
    facts: [
      ["From", given.From],
      ["From where", placeOf(given)],
      ["To", given.To],
    ],
  };
}

function readStatus(event: Context["event"]): Note {
  const given = readPayload(status, event);
  return {
    kind: "failed",
    title: `Text: to ${given.To} did not arrive`,
    summary: `Twilio says that a text to ${given.To} is ${given.MessageStatus}`,
    url: given.ErrorCode ? `https://www.twilio.com/docs/api/errors/${encodeURIComponent(given.ErrorCode)}` : null,
    facts: [
      ["To", given.To],
      ["Error", given.ErrorCode],
    ],
  };
}

const placeOf = ({ FromCity, FromCountry }: { FromCity?: string | undefined; FromCountry?: string | undefined }) =>
  [FromCity, FromCountry].filter(Boolean).join(", ");

const fileEvent = defineTrigger({
  name: "file-event",
  description: "Files texts, calls, and texts that did not arrive in the hub's inbox",
  on: { source: "twilio", type: ["message", "call.ringing", "status.failed", "status.undelivered"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "twilio",
  description: "Files texts and calls to your Twilio number in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileEvent],
  secrets: [
    { name: "TWILIO_AUTH_TOKEN", description: "The account's primary auth token, which signs", required: false },
  ],
});
