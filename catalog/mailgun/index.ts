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

const events = defineWebhook({ source: "mailgun", description: "What becomes of your mail", ...schemes.mailgun });
const inbound = defineWebhook({
  source: "mailgun-inbound",
  description: "Mail that a route of Mailgun forwards",
  ...schemes.mailgunInbound,
});

/** https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads */
const outgoing = z.object({
  "event-data": z.object({
    event: z.string(),
    recipient: z.string(),
    severity: z.string().nullish(),
    reason: z.string().nullish(),
    "delivery-status": z.object({ code: z.number().nullish(), message: z.string().nullish() }).nullish(),
    message: z.object({ headers: z.object({ subject: z.string().nullish(), from: z.string().nullish() }) }).nullish(),
  }),
});

/** https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http */
const mail = z.object({
  recipient: z.string(),
  sender: z.string(),
  from: z.string().optional(),
  subject: z.string().default(""),
  "body-plain": z.string().default(""),
  "stripped-text": z.string().optional(),
  "attachment-count": z.string().optional(),
});

const WORDS: Readonly<Record<string, string>> = {
  failed: "did not get a mail",
  complained: "called a mail spam",
  unsubscribed: "wants no more mail",
};

/** Mail that came in, or what went wrong with one of ours. */
export function read(event: Context["event"]): Note {
  return event.source === inbound.source ? readMail(event) : readOutgoing(event);
}

function readOutgoing(event: Context["event"]): Note {
  const { "event-data": given } = readPayload(outgoing, event);
  const what = WORDS[given.event] ?? given.event;
  return {
    kind: given.event,
    title: `Mailgun: ${given.recipient} ${what}`,
    summary: `${given.recipient} ${what}${given.severity === "temporary" ? "; Mailgun tries again" : ""}`,
    facts: [
      ["Subject", given.message?.headers.subject],
      ["From", given.message?.headers.from],
      ["Severity", given.severity],
      ["Reason", given.reason],
      ["Code", given["delivery-status"]?.code],
    ],
    text: given["delivery-status"]?.message,
  };
}

function readMail(event: Context["event"]): Note {
  const given = readPayload(mail, event);
  const from = given.from ?? given.sender;
  return {
    kind: "mail",
    title: `Mail: ${given.subject || "(no subject)"}`,
    summary: `${from} wrote to ${given.recipient}`,
    facts: [
      ["From", from],
      ["To", given.recipient],
      ["Files", given["attachment-count"]],
    ],
    text: given["stripped-text"] || given["body-plain"],
  };
}

const file = async (context: Context) =>
  await fileNote(context, await context.step.run("read the payload", () => read(context.event)));

const fileEvent = defineTrigger({
  name: "file-event",
  description: "Files failures, complaints and people who want no more mail in the hub's inbox",
  on: { source: events.source, type: Object.keys(WORDS) },
  run: file,
});
const fileMail = defineTrigger({
  name: "file-mail",
  description: "Files forwarded mail in the hub's inbox",
  on: { source: inbound.source, type: "inbound" },
  run: file,
});

export default defineCapability({
  name: "mailgun",
  description: "Files mail that Mailgun forwards, and what went wrong with yours, in the hub's inbox.",
  webhooks: [events, inbound],
  triggers: [fileEvent, fileMail],
  secrets: [{ name: "MAILGUN_WEBHOOK_SECRET", description: "Mailgun's HTTP webhook signing key", required: false }],
});
