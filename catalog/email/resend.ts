import { type Context, readPayload, z } from "daimon";
import { callApi } from "./call.ts";
import { type Mail, type Reply, toMail } from "./mail.ts";

const API = "https://api.resend.com";
const NEXT = "RESEND_API_KEY in home/.env must be a key of this account with full access.";

const received = z.object({ data: z.object({ email_id: z.string().regex(/^[\w-]+$/) }) });
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
    attachments: (attachments ?? []).map(({ filename }) => filename ?? "(without a name)"),
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
    ...{ api: "resend", url: `${API}/emails`, method: "POST", next: NEXT, signal: access.signal },
    headers: {
      authorization: `Bearer ${access.key}`,
      "content-type": "application/json",
      "idempotency-key": access.idempotencyKey,
    },
    body: JSON.stringify({ from, to: [to], subject, text, headers }),
  });
  return z.object({ id: z.string() }).parse(answer).id;
}
