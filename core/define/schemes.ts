/**
 * How senders prove who they are, as data: `defineWebhook({ source: "stripe", ...schemes.stripe })`. One that is not
 * here is a few lines of the same kind. The capability declares the secrets that its scheme names.
 */
import type { EqualityVerification, Handshake, HmacVerification, Named, Place, Webhook } from "./webhook.ts";

export type Scheme = Omit<Webhook, "source">;

type Stamped = Pick<HmacVerification, "fields" | "signed" | "timestamp">;

/** An HMAC-SHA256 of the body in hex, unless it says otherwise. */
const hmac = (header: string, secret: string, more: Partial<HmacVerification> = {}): HmacVerification => ({
  ...{ scheme: "hmac", algorithm: "sha256", encoding: "hex", header, secret },
  ...(more as object),
});
/** `t=<seconds>,v1=<hex>,v1=<hex>` over `<seconds>.<body>`, as Stripe began it. */
const stamped: Stamped = {
  fields: { separator: ",", assign: "=", name: "v1" },
  signed: "{timestamp}.{body}",
  timestamp: { field: "t" },
};
/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const standard = (name: string): Stamped => ({
  fields: { separator: " ", assign: ",", name: "v1" },
  signed: `{header:${name}-id}.{timestamp}.{body}`,
  timestamp: { header: `${name}-timestamp` },
});
const svix = (secret: string, setup: string): Scheme => ({
  verify: hmac("svix-signature", secret, { ...standard("svix"), encoding: "base64", key: WHSEC }),
  type: [{ data: "type" }],
  key: { header: "svix-id" },
  setup,
});
const WHSEC = { encoding: "base64", prefix: "whsec_" } as const;

/** `hub.challenge`, echoed to whoever knows the token that the owner gave the sender. */
const challenge = (token: string, ...when: Handshake["when"]): Handshake => ({
  method: "GET",
  when: [
    { query: "hub.mode", is: ["subscribe", "unsubscribe"] },
    { query: "hub.verify_token", secret: token },
    { query: "hub.challenge" },
    ...when,
  ],
  reply: { status: 200, echo: { query: "hub.challenge" } },
});
const kinds = (...names: string[]): Named[] => names.map((data) => ({ data, as: data }));
const paths = (...names: string[]): Place[] => names.map((data) => ({ data }));
const OK = { accepted: [{ status: 200 }] };
const ENV = "`home/.env`, and restart";

// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
const github: Scheme = {
  once: true,
  verify: hmac("x-hub-signature-256", "GITHUB_WEBHOOK_SECRET", { prefix: "sha256=" }),
  type: [{ header: "x-github-event" }, { data: "action" }],
  key: { header: "x-github-delivery" },
  setup:
    "In the repository or organization: *Settings → Webhooks → Add webhook*. Payload URL: this address. Content type: `application/json`. Secret: the value of `GITHUB_WEBHOOK_SECRET` in `home/.env`. GitHub sends a ping at once, and never delivers again by itself.",
};

// https://docs.stripe.com/webhooks/signature
const stripe: Scheme = {
  verify: hmac("stripe-signature", "STRIPE_WEBHOOK_SECRET", stamped),
  type: [{ data: "type" }],
  key: { data: "id" },
  setup: `In the Dashboard: *Developers → Webhooks → Add destination*, with this address. Write its signing secret (\`whsec_…\`) as \`STRIPE_WEBHOOK_SECRET\` into ${ENV}.`,
};

// https://docs.slack.dev/authentication/verifying-requests-from-slack
const slack: Scheme = {
  verify: hmac("x-slack-signature", "SLACK_SIGNING_SECRET", {
    prefix: "v0=",
    signed: "v0:{timestamp}:{body}",
    timestamp: { header: "x-slack-request-timestamp" },
  }),
  type: [{ data: "type" }, { data: "event.type" }, { data: "command", as: "command" }],
  key: paths("event_id", "trigger_id"),
  handshakes: [
    { when: [{ data: "type", is: "url_verification" }], reply: { status: 200, echo: { data: "challenge" } } },
  ],
  // A body would be shown to whoever typed a command.
  replies: { accepted: [{ status: 200, text: "" }] },
  setup: `On api.slack.com, in your app: copy *Basic Information → Signing Secret* as \`SLACK_SIGNING_SECRET\` into ${ENV}. Then *Event Subscriptions*: on, Request URL: this address (Slack tries it at once), and subscribe to events. The same address serves *Interactivity* and *Slash Commands*.`,
};

// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
const meta: Scheme = {
  verify: hmac("x-hub-signature-256", "WHATSAPP_APP_SECRET", { prefix: "sha256=" }),
  items: ["entry[].changes[].value.messages[]", "entry[].changes[].value.statuses[]"],
  type: [
    { data: "entry.changes.field", as: { messages: "" } },
    { data: "entry.changes.value.messages", as: "message" },
    { data: "entry.changes.value.messages.type" },
    { data: "entry.changes.value.statuses", as: "status" },
    { data: "entry.changes.value.statuses.status" },
  ],
  key: paths(
    "entry.changes.value.messages.id",
    "entry.changes.value.statuses.id",
    "entry.changes.value.statuses.status",
  ),
  handshakes: [challenge("WHATSAPP_VERIFY_TOKEN")],
  replies: OK,
  setup: `On developers.facebook.com, in your app: write *App settings → Basic → App secret* as \`WHATSAPP_APP_SECRET\` into ${ENV}. Then *WhatsApp → Configuration → Webhook*: Callback URL: this address; Verify token: the value of \`WHATSAPP_VERIFY_TOKEN\` in \`home/.env\`. Subscribe to \`messages\`.`,
};

// https://core.telegram.org/bots/api#setwebhook
const telegram: Scheme = {
  verify: { scheme: "equality", header: "x-telegram-bot-api-secret-token", secret: "TELEGRAM_SECRET_TOKEN" },
  type: kinds(
    ..."message edited_message channel_post edited_channel_post business_connection business_message".split(" "),
    ..."edited_business_message deleted_business_messages message_reaction message_reaction_count".split(" "),
    ..."inline_query chosen_inline_result callback_query shipping_query pre_checkout_query".split(" "),
    ..."purchased_paid_media poll poll_answer my_chat_member chat_member chat_join_request".split(" "),
    ..."chat_boost removed_chat_boost".split(" "),
  ),
  key: { data: "update_id" },
  replies: OK,
  setup: `Make a bot with @BotFather. Then, with the bot's token, this address and the value of \`TELEGRAM_SECRET_TOKEN\` in \`home/.env\`: \`curl https://api.telegram.org/bot<token>/setWebhook -d "url=<this address>" -d "secret_token=<secret>"\`.`,
};

const standardWebhooks: Scheme = {
  verify: hmac("webhook-signature", "STANDARD_WEBHOOK_SECRET", {
    ...standard("webhook"),
    encoding: "base64",
    key: WHSEC,
  }),
  type: [{ data: "type" }],
  key: { header: "webhook-id" },
  setup: `Give the sender this address, and write the secret that it shows (\`whsec_…\`) as \`STANDARD_WEBHOOK_SECRET\` into ${ENV}.`,
};
const standardWebhooksPublic: Scheme = {
  ...standardWebhooks,
  verify: {
    ...standard("webhook"),
    ...{ scheme: "ed25519", encoding: "base64", header: "webhook-signature", secret: "STANDARD_WEBHOOK_PUBLIC_KEY" },
    fields: { separator: " ", assign: ",", name: "v1a" },
    key: { encoding: "base64", prefix: "whpk_" },
  },
  setup: `Give the sender this address, and write the public key that it shows (\`whpk_…\`) as \`STANDARD_WEBHOOK_PUBLIC_KEY\` into ${ENV}.`,
};

// https://docs.svix.com/receiving/verifying-payloads/how-manual
const resend = svix(
  "RESEND_WEBHOOK_SECRET",
  `In Resend: *Webhooks → Add Webhook*, with this address. Write its signing secret as \`RESEND_WEBHOOK_SECRET\` into ${ENV}. An \`email.received\` names the mail; its text is fetched by the API.`,
);
const clerk = svix(
  "CLERK_WEBHOOK_SECRET",
  `In Clerk: *Configure → Webhooks → Add Endpoint*, with this address. Write its signing secret as \`CLERK_WEBHOOK_SECRET\` into ${ENV}.`,
);

// https://shopify.dev/docs/apps/build/webhooks/subscribe/https
const shopify: Scheme = {
  verify: hmac("x-shopify-hmac-sha256", "SHOPIFY_WEBHOOK_SECRET", { encoding: "base64" }),
  type: [{ header: "x-shopify-topic" }],
  key: [{ header: "x-shopify-event-id" }, { header: "x-shopify-topic" }],
  setup: `For an app: its client secret is \`SHOPIFY_WEBHOOK_SECRET\`; for a shop: the one below *Settings → Notifications → Webhooks*. Write it into ${ENV}. Then create the webhook with this address, in JSON. After four hours of failures Shopify deletes a subscription.`,
};

// https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures
const calendly: Scheme = {
  verify: hmac("calendly-webhook-signature", "CALENDLY_WEBHOOK_SECRET", {
    ...stamped,
    timestamp: { field: "t", toleranceSeconds: 180 },
  }),
  type: [{ data: "event" }],
  setup: `With a personal access token: \`curl https://api.calendly.com/webhook_subscriptions -H "authorization: Bearer <token>" --json '{"url":"<this address>","events":["invitee.created","invitee.canceled"],"scope":"user","organization":"<uri>","user":"<uri>","signing_key":"<secret>"}'\`, where the secret is the value of \`CALENDLY_WEBHOOK_SECRET\` in \`home/.env\`. After a day of failures it must be made again.`,
};

// https://cal.com/docs/developing/guides/automation/webhooks
const calcom: Scheme = {
  once: true,
  verify: hmac("x-cal-signature-256", "CALCOM_WEBHOOK_SECRET"),
  type: [{ data: "triggerEvent" }],
  setup:
    "In Cal.com: *Settings → Developer → Webhooks → New*. Subscriber URL: this address. Secret: the value of `CALCOM_WEBHOOK_SECRET` in `home/.env`; without one Cal.com does not sign, and is refused.",
};

// https://www.twilio.com/docs/usage/security#validating-requests
const twilio: Scheme = {
  once: true,
  verify: hmac("x-twilio-signature", "TWILIO_AUTH_TOKEN", {
    ...{ algorithm: "sha1", encoding: "base64", signed: "{url}{form}", bodyHash: "bodySHA256" },
  }),
  format: "form",
  type: [
    { data: "SmsMessageSid", as: "message" },
    { data: "MessageStatus", as: "status" },
    { data: "MessageStatus" },
    { data: "CallStatus", as: "call" },
    { data: "CallStatus" },
  ],
  key: { header: "i-twilio-idempotency-token" },
  replies: { accepted: [{ status: 200, text: "<Response/>", media: "text/xml" }] },
  setup: `Set \`publicUrl\` in \`daimon.config.ts\` (Twilio signs it), and write the account's primary auth token as \`TWILIO_AUTH_TOKEN\` into ${ENV}. Then *Phone Numbers → your number → A message comes in → Webhook*: this address, HTTP POST.`,
};

// https://postmarkapp.com/developer/webhooks/webhooks-overview
const basic: EqualityVerification = { scheme: "equality", basic: true, secret: "POSTMARK_WEBHOOK_SECRET" };
const postmark: Scheme = {
  verify: basic,
  type: [{ data: "RecordType" }, { data: "FromFull", as: "inbound" }],
  key: paths("MessageID", "RecordType", "ID", "ReceivedAt"),
  maxBytes: 40 << 20,
  replies: OK,
  setup:
    "In Postmark, at the server's inbound stream: *Settings → Webhook*: this address with the secret in it, `https://daimon:<the value of POSTMARK_WEBHOOK_SECRET in home/.env>@<host>/hooks/<source>`.",
};

// https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
const mailgun: Scheme = {
  verify: {
    ...{ scheme: "hmac", algorithm: "sha256", encoding: "hex", secret: "MAILGUN_WEBHOOK_SECRET" },
    ...{ data: "signature.signature", signed: "{timestamp}{data:signature.token}" },
    timestamp: { data: "signature.timestamp" },
  },
  type: [{ data: "event-data.event" }],
  key: { data: "signature.token" },
  replies: OK,
  setup: `In Mailgun: *Send → Webhooks*: this address. Write the *HTTP webhook signing key* (*API security*) as \`MAILGUN_WEBHOOK_SECRET\` into ${ENV}. Mailgun signs a time and a token, not the content.`,
};
/** A mail that a route forwards: the same signature, in fields of a form. */
const mailgunInbound: Scheme = {
  ...mailgun,
  verify: {
    ...{ scheme: "hmac", algorithm: "sha256", encoding: "hex", secret: "MAILGUN_WEBHOOK_SECRET" },
    ...{ data: "signature", signed: "{timestamp}{data:token}", timestamp: { data: "timestamp" } },
  },
  format: "form",
  type: [{ data: "recipient", as: "inbound" }],
  key: { data: "token" },
  maxBytes: 30 << 20,
  setup: `In Mailgun: *Receive → Create route*, with *Forward* to this address. Write the *HTTP webhook signing key* as \`MAILGUN_WEBHOOK_SECRET\` into ${ENV}.`,
};

// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
const gmail: Scheme = {
  verify: {
    ...{ scheme: "token", header: "authorization", prefix: "Bearer ", claim: "email", secret: "GMAIL_PUSH_ACCOUNT" },
    keys: "https://www.googleapis.com/oauth2/v3/certs",
    issuers: ["https://accounts.google.com", "accounts.google.com"],
    claims: { email_verified: true },
  },
  type: [{ data: "message", as: "push" }],
  key: { data: "message.messageId" },
  replies: OK,
  setup: `In Google Cloud: a Pub/Sub topic on which \`gmail-api-push@system.gserviceaccount.com\` may publish, and a push subscription to this address with authentication by a service account, its audience left empty. Set \`publicUrl\` in \`daimon.config.ts\`, and write the account's mail address as \`GMAIL_PUSH_ACCOUNT\` into ${ENV}. \`users.watch\` ends after seven days.`,
};

// https://developers.google.com/youtube/v3/guides/push_notifications
const youtube: Scheme = {
  verify: hmac("x-hub-signature", "YOUTUBE_WEBHOOK_SECRET", { algorithm: "sha1", prefix: "sha1=" }),
  format: "xml",
  type: [
    { data: "feed.entry", as: "video" },
    { data: "feed.at:deleted-entry", as: "deleted" },
  ],
  key: paths(
    "feed.entry.yt:videoId",
    "feed.entry.updated",
    "feed.at:deleted-entry.@ref",
    "feed.at:deleted-entry.@when",
  ),
  handshakes: [
    challenge("YOUTUBE_VERIFY_TOKEN", {
      query: "hub.topic",
      starts: "https://www.youtube.com/xml/feeds/videos.xml?channel_id=",
    }),
  ],
  replies: OK,
  setup:
    "`curl https://pubsubhubbub.appspot.com/subscribe -d hub.mode=subscribe -d hub.callback=<this address> -d hub.topic=https://www.youtube.com/xml/feeds/videos.xml?channel_id=<channel> -d hub.secret=<YOUTUBE_WEBHOOK_SECRET> -d hub.verify_token=<YOUTUBE_VERIFY_TOKEN>`, with both values from `home/.env`. It ends after about five days.",
};

// https://developers.kit.com/webhooks
const kit: Scheme = {
  verify: hmac("x-kit-signature", "KIT_WEBHOOK_SECRET", stamped),
  items: ["events[]"],
  type: [{ data: "events.type" }],
  key: { data: "events.id" },
  setup: `In Kit: *Settings → Webhooks → New endpoint* (Webhooks 2.0), with this address and the events that you want. Write its signing secret as \`KIT_WEBHOOK_SECRET\` into ${ENV}. The older \`/v4/webhooks\` are not signed.`,
};

// https://developers.notion.com/reference/webhooks
const notion: Scheme = {
  verify: hmac("x-notion-signature", "NOTION_WEBHOOK_SECRET", { prefix: "sha256=" }),
  type: [{ data: "type" }],
  key: { data: "id" },
  handshakes: [
    {
      when: [{ data: "verification_token" }],
      offers: { data: "verification_token" },
      reply: { status: 200 },
    },
  ],
  replies: OK,
  setup:
    "In Notion, at your connection: *Webhooks → Create a subscription*: this address. Notion posts a token: `daimon doctor` shows it. Paste it there into *Verify*, write it as `NOTION_WEBHOOK_SECRET` into `home/.env`, and restart. For another subscription later, take that line away first.",
};

// https://linear.app/developers/webhooks#securing-webhooks
const linear: Scheme = {
  verify: hmac("linear-signature", "LINEAR_WEBHOOK_SECRET", {
    timestamp: { data: "webhookTimestamp", unit: "milliseconds", toleranceSeconds: 60 },
  }),
  type: [{ data: "type" }, { data: "action" }],
  key: { header: "linear-delivery" },
  replies: OK,
  setup: `In Linear: *Settings → API → Webhooks → New webhook*, with this address. Write its signing secret as \`LINEAR_WEBHOOK_SECRET\` into ${ENV}.`,
};

// https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
const hubspot: Scheme = {
  verify: hmac("x-hubspot-signature-v3", "HUBSPOT_WEBHOOK_SECRET", {
    ...{ encoding: "base64", signed: "{method}{url}{body}{timestamp}", plain: ":/?@!$'()*,;" },
    timestamp: { header: "x-hubspot-request-timestamp", unit: "milliseconds" },
  }),
  items: ["[]"],
  type: [{ data: "subscriptionType" }],
  // HubSpot says that its `eventId` alone is not unique.
  key: paths("eventId", "subscriptionId", "objectId", "occurredAt", "propertyName"),
  setup: `In your HubSpot app: *Webhooks*: target URL: this address, and the subscriptions that you want. Set \`publicUrl\` in \`daimon.config.ts\` (HubSpot signs it), and write the app's client secret as \`HUBSPOT_WEBHOOK_SECRET\` into ${ENV}.`,
};

// https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint
const discord: Scheme = {
  once: true,
  verify: {
    ...{ scheme: "ed25519", encoding: "hex", header: "x-signature-ed25519", secret: "DISCORD_PUBLIC_KEY" },
    signed: "{timestamp}{body}",
    timestamp: { header: "x-signature-timestamp" },
    key: { encoding: "hex" },
  },
  type: [{ data: "type", as: { 2: "command", 3: "component", 4: "autocomplete", 5: "modal" } }],
  key: { data: "id" },
  handshakes: [{ when: [{ data: "type", is: 1 }], reply: { status: 200, json: { type: 1 } } }],
  // "I am thinking": what is to be said follows by the interaction's own token.
  replies: {
    accepted: [
      { status: 200, json: { type: 6 }, when: [{ data: "type", is: 3 }] },
      { status: 200, json: { type: 8, data: { choices: [] } }, when: [{ data: "type", is: 4 }] },
      { status: 200, json: { type: 5 } },
    ],
  },
  setup: `On discord.com/developers, in your application: write *General Information → Public Key* as \`DISCORD_PUBLIC_KEY\` into ${ENV}. Then *Interactions Endpoint URL*: this address; Discord tries it with right and wrong signatures.`,
};

const generic: Scheme = {
  verify: hmac("x-signature", "GENERIC_WEBHOOK_SECRET"),
  type: [{ data: "type" }],
  key: { header: "x-delivery-id" },
  setup:
    "Post JSON with a `type` to this address. Header `X-Signature`: the HMAC-SHA256 of the body in hex, with the value of `GENERIC_WEBHOOK_SECRET` in `home/.env` as its key. `X-Delivery-Id`, where there is one, names the delivery.",
};

export const schemes = {
  ...{ github, stripe, slack, meta, telegram, standardWebhooks, standardWebhooksPublic, resend, clerk, shopify },
  ...{ calendly, calcom, twilio, postmark, mailgun, mailgunInbound, gmail, youtube, kit, notion, linear, hubspot },
  ...{ discord, generic },
} as const satisfies Readonly<Record<string, Scheme>>;
