import { type Context, callApi, readPayload, z } from "daimon";
import { type Mail, type Reply, toMail } from "./mail.ts";

const API = "https://api.resend.com";
const NEXT = "RESEND_API_KEY must be a key of this account with full access.";

const received = z.object({
  data: z.object({
    email_id: z.string().regex(/^[\w-]+$/),
    from: z.string(),
    to: z.array(z.string()),
    subject: z.string().nullish(),
    attachments: z.array(z.object({ filename: z.string().nullish() })).nullish(),
  }),
});
const names = z.array(z.string()).nullish();
const email = z.object({
  from: z.string(),
  to: z.array(z.string()),
  subject: z.string().nullish(),
  text: z.string().nullish(),
  html: z.string().nullish(),
  message_id: z.string().nullish(),
  reply_to: names,
  headers: z
    .union([z.record(z.string(), z.string()), z.array(z.object({ name: z.string(), value: z.string() }))])
    .nullish(),
  attachments: z.array(z.object({ filename: z.string().nullish() })).nullish(),
});

/** What the event itself tells of the mail: all but its text. */
export function readResend(event: Context["event"]): Mail {
  const { from, to, subject, attachments } = readPayload(received, event).data;
  const text = "(The text of the mail is not here: it is fetched with RESEND_API_KEY, which is not set.)";
  return toMail({ ...{ from, to, subject, text, html: null, headers: [] }, attachments: namesOf(attachments) });
}

const namesOf = (attachments: readonly { filename?: string | null | undefined }[] | null | undefined) =>
  (attachments ?? []).map(({ filename }) => filename ?? "(without a name)");

/** The mail that an `email.received` names: the event holds only its metadata. https://resend.com/docs/api-reference/emails/retrieve-received-email */
export async function fetchResend(
  event: Context["event"],
  access: { key: string; signal: AbortSignal },
): Promise<Mail> {
  const { email_id: id } = readPayload(received, event).data;
  const answer = await callApi({
    ...{ api: "resend", url: `${API}/emails/receiving/${id}?html_format=cid`, next: NEXT, signal: access.signal },
    headers: { authorization: `Bearer ${access.key}` },
  });
  const { headers: given, message_id, reply_to, attachments, ...mail } = email.parse(answer);
  const headers = Array.isArray(given)
    ? given.map(({ name, value }) => [name, value] as const)
    : Object.entries(given ?? {});
  return toMail({
    ...{ from: mail.from, to: mail.to, subject: mail.subject, text: mail.text, html: mail.html },
    attachments: namesOf(attachments),
    headers: [
      ...headers,
      ...(message_id ? [["message-id", message_id] as const] : []),
      ...(reply_to?.[0] ? [["reply-to", reply_to[0]] as const] : []),
    ],
  });
}

/** Sends it once for each key: Resend remembers keys for a day. Returns its id. https://resend.com/docs/api-reference/emails/send-email */
export async function sendResend(
  { from, to, subject, text, headers }: Reply,
  access: { key: string; idempotencyKey: string; signal: AbortSignal },
): Promise<string> {
  const answer = await callApi({
    ...{ api: "resend", url: `${API}/emails`, next: NEXT, signal: access.signal },
    headers: { authorization: `Bearer ${access.key}`, "idempotency-key": access.idempotencyKey },
    body: { from, to: [to], subject, text, headers },
  });
  return z.object({ id: z.string() }).parse(answer).id;
}
