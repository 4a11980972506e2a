import { type Context, defineCapability, defineTrigger, defineWebhook, oneLine, schemes } from "daimon";
import { fetchGmail, sendGmail } from "./gmail.ts";
import { type Mail, type Reply, toReply } from "./mail.ts";
import { accessOf, missingOf, readMailbox, renew } from "./mailbox.ts";
import { mailPath, renderIgnored, renderMail } from "./note.ts";
import { readPostmark, sendPostmark } from "./postmark.ts";
import { fetchResend, readResend, sendResend } from "./resend.ts";
import { decide } from "./triage.ts";

/** How an answer leaves. */
interface Way {
  readonly name: string;
  /** Secrets without which nothing can be sent. */
  readonly needs: readonly string[];
  /** Who writes. */
  readonly from: () => string;
  /** Sends it, a step; returns the provider's id. */
  readonly send: (reply: Reply) => Promise<string>;
}

/** Decides, files, and where an answer is needed drafts it, asks, and only then sends. */
async function treat(context: Context, mail: Mail, way: Way) {
  const { event, hub, send } = context;
  const triage = await decide(context, mail);
  const { verdict } = triage;
  if (verdict === "ignore") {
    const path = `areas/mail/ignored-${event.time.toISOString().slice(0, 7)}.md`;
    await hub.append(path, renderIgnored(mail, triage, event), "email: ignored");
    return { verdict, path };
  }
  const path = mailPath(mail, event);
  await hub.create(path, renderMail(mail, triage, event), `email: to ${verdict}`).catch(ignoreThere);
  const about = `${oneLine(mail.from, 100)}: ${oneLine(mail.subject)}\n${oneLine(triage.reason, 300)}\nFiled as ${path}.`;
  if (verdict === "read") {
    await send({ text: `Mail to read. ${about}` });
    return { verdict, path };
  }
  const missing = missingOf(context, way.needs);
  const reply = missing.length === 0 ? toReply(mail, triage.draft, way.from()) : null;
  if (!reply) {
    const why =
      missing.length > 0 ? `to send such answers, set ${missing.join(" and ")}` : "it names no address to answer to";
    await send({ text: `Mail to answer. ${about} A draft stands there; ${why}.` });
    return { verdict, path, sent: false };
  }
  await send({ text: `Mail to answer. ${about} A draft stands there, and waits for your approval.` });
  return { verdict, path, ...(await answer(context, { reply, way, path })) };
}

/** Asks for the exact mail, and sends nothing else. */
async function answer(context: Context, { reply, way, path }: { reply: Reply; way: Way; path: string }) {
  const { step, hub, approve } = context;
  const yes = await approve("ask to send", {
    title: `Send this answer to ${reply.to} by ${way.name}?`,
    action: { tool: "send_mail", input: { by: way.name, ...reply } },
    timeout: "7d",
  });
  const id = yes ? await way.send(reply) : null;
  // The owner may have sorted the note away meanwhile.
  const there = await step.run("is the note there", () => hub.read(path).then(() => true, isMissing));
  const words = yes ? `**Sent** to ${reply.to} (${way.name} ${id}).` : "**Not sent**: it was not approved.";
  if (there) await hub.append(path, `\n${words}\n`, `email: ${yes ? "sent" : "not sent"}`);
  return { sent: yes, ...(yes ? { id } : {}) };
}

const isMissing = (error: { code?: string }): false => {
  if (error.code === "hub.missing") return false;
  throw error;
};

/** A replayed event has its note already. */
function ignoreThere(error: { code?: string }): void {
  if (error.code !== "hub.exists") throw error;
}

const resendMail = defineTrigger({
  name: "resend-mail",
  description: "Fetches a mail that Resend has received, and decides what is to be done about it",
  on: { source: "resend", type: "email.received" },
  run: async (context) => {
    const { event, step, secret } = context;
    const blind = missingOf(context, ["RESEND_API_KEY"]).length > 0;
    const mail = await step.run("fetch the mail", (signal) =>
      blind ? readResend(event) : fetchResend(event, { key: secret("RESEND_API_KEY"), signal }),
    );
    return await treat(context, mail, {
      ...{ name: "Resend", needs: ["RESEND_API_KEY", "EMAIL_FROM"], from: () => secret("EMAIL_FROM") },
      send: (reply) =>
        step.run("send", async (signal) => {
          const idempotencyKey = `daimon-${await digest(reply)}`;
          return await sendResend(reply, { key: secret("RESEND_API_KEY"), idempotencyKey, signal });
        }),
    });
  },
});

/** The same mail has the same key, whichever run sends it. */
async function digest(reply: Reply): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", Buffer.from(JSON.stringify(reply)));
  return Buffer.from(hash).toString("hex");
}

const postmarkMail = defineTrigger({
  name: "postmark-mail",
  description: "Reads a mail that Postmark has received, and decides what is to be done about it",
  on: { source: "postmark", type: "inbound" },
  run: async (context) => {
    const { event, step, secret } = context;
    const mail = await step.run("read the mail", () => readPostmark(event));
    return await treat(context, mail, {
      ...{ name: "Postmark", needs: ["POSTMARK_SERVER_TOKEN", "EMAIL_FROM"], from: () => secret("EMAIL_FROM") },
      send: (reply) =>
        step.run("send", (signal) => sendPostmark(reply, { token: secret("POSTMARK_SERVER_TOKEN"), signal }), {
          once: true,
        }),
    });
  },
});

const gmailMail = defineTrigger<{ id: string; threadId: string; account: string }>({
  name: "gmail-mail",
  description: "Fetches a mail of the Gmail inbox, and decides what is to be done about it",
  on: { source: "gmail", type: "message" },
  run: async (context) => {
    const { event, step } = context;
    const { id, threadId, account } = event.data;
    const mail = await step.run("fetch the mail", (signal) => fetchGmail(accessOf(context, signal), id));
    if (!mail) return { gone: true };
    return await treat(context, mail, {
      ...{ name: "Gmail", needs: [], from: () => account || "your Gmail account" },
      send: (reply) =>
        step.run("send", (signal) => sendGmail(accessOf(context, signal), reply, threadId), { once: true }),
    });
  },
});

const optional = (name: string, description: string) => ({ name, description, required: false });

export default defineCapability({
  name: "email",
  description:
    "Reads your mail before you do: to answer, to read, to ignore. Answers are drafted, and sent when you approve.",
  webhooks: [
    defineWebhook({ source: "resend", description: "Mail received by Resend", ...schemes.resend }),
    defineWebhook({ source: "postmark", description: "Mail received by Postmark", ...schemes.postmark }),
    defineWebhook({ source: "gmail", description: "Changes of a Gmail mailbox, by Pub/Sub", ...schemes.gmail }),
  ],
  triggers: [resendMail, postmarkMail, readMailbox, gmailMail],
  schedules: [renew],
  secrets: [
    optional("EMAIL_FROM", "Who answers, for Resend and Postmark: Ada <ada@example.com>"),
    optional("RESEND_WEBHOOK_SECRET", "Resend: signing secret of the webhook (whsec_…)"),
    optional("RESEND_API_KEY", "Resend: a key with full access, to fetch mail and to send (re_…)"),
    { name: "POSTMARK_WEBHOOK_SECRET", description: "Postmark: the password in the webhook's address", generate: true },
    optional("POSTMARK_SERVER_TOKEN", "Postmark: the server's token, to send"),
    optional("GMAIL_PUSH_ACCOUNT", "Gmail: mail address of the service account that signs the pushes"),
    optional("GMAIL_TOPIC", "Gmail: the Pub/Sub topic (projects/…/topics/…)"),
    optional("GMAIL_CLIENT_ID", "Gmail: id of the OAuth client"),
    optional("GMAIL_CLIENT_SECRET", "Gmail: secret of the OAuth client"),
    optional("GMAIL_REFRESH_TOKEN", "Gmail: what the owner's consent gave"),
  ],
  egress: ["api.resend.com", "api.postmarkapp.com", "oauth2.googleapis.com", "gmail.googleapis.com"],
});
