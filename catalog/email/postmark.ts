import { type Context, callApi, readPayload, z } from "daimon";
import { type Mail, type Reply, toMail } from "./mail.ts";

const API = "https://api.postmarkapp.com";

/** https://postmarkapp.com/developer/webhooks/inbound-webhook */
const inbound = z.object({
  From: z.string(),
  FromName: z.string().nullish(),
  ToFull: z.array(z.object({ Email: z.string() })),
  ReplyTo: z.string().nullish(),
  Subject: z.string().nullish(),
  TextBody: z.string().nullish(),
  HtmlBody: z.string().nullish(),
  Headers: z.array(z.object({ Name: z.string(), Value: z.string() })),
  Attachments: z.array(z.object({ Name: z.string() })).nullish(),
});

/** The mail, which Postmark sends whole. */
export function readPostmark(event: Context["event"]): Mail {
  const mail = readPayload(inbound, event);
  return toMail({
    from: mail.FromName ? `${mail.FromName} <${mail.From}>` : mail.From,
    to: mail.ToFull.map(({ Email }) => Email),
    ...{ subject: mail.Subject, text: mail.TextBody, html: mail.HtmlBody },
    attachments: (mail.Attachments ?? []).map(({ Name }) => Name),
    headers: [
      ...mail.Headers.map(({ Name, Value }) => [Name, Value] as const),
      ...(mail.ReplyTo ? [["reply-to", mail.ReplyTo] as const] : []),
    ],
  });
}

/** Sends it; asked twice it sends it twice. Returns its id. https://postmarkapp.com/developer/api/email-api */
export async function sendPostmark(
  { from, to, subject, text, headers }: Reply,
  access: { token: string; signal: AbortSignal },
): Promise<string> {
  const answer = await callApi({
    ...{ api: "postmark", url: `${API}/email`, once: true, signal: access.signal },
    next: "POSTMARK_SERVER_TOKEN must be the server's token, and EMAIL_FROM a signature that it has confirmed.",
    headers: { "x-postmark-server-token": access.token },
    body: {
      ...{ From: from, To: to, Subject: subject, TextBody: text, MessageStream: "outbound" },
      Headers: Object.entries(headers).map(([Name, Value]) => ({ Name, Value })),
    },
  });
  return z.object({ MessageID: z.string() }).nullable().parse(answer)?.MessageID ?? "";
}
