/**
 * Senders, each as its documentation says that it signs, with node:crypto alone: what tests sign with, so that no
 * mistake of `core/triggers` is made twice. `covered` says what of a request the signature vouches for.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import type { RawRequest } from "../define/event.ts";
import type { schemes } from "../define/schemes.ts";

export const PUBLIC_URL = "https://daimon.example";

/** What one signs with, and what the owner writes into `home/.env` to verify it. */
export interface Pen {
  readonly signs: string;
  readonly verifies: string;
  readonly privateKey?: KeyObject;
}

/** A webhook as the world calls it: the server, and the path on it. */
export interface Address {
  readonly base: string;
  readonly path: string;
}
const HERE: Address = { base: PUBLIC_URL, path: "/hooks/test" };

export interface Sender {
  readonly name: string;
  readonly scheme: keyof typeof schemes;
  readonly pens: { readonly right: Pen; readonly before: Pen; readonly wrong: Pen };
  /** A body as it sends it, with a mark in it that no other has. */
  body(mark: string): Buffer;
  /** Signed for the webhook at `address`; the URL of the request matters where it is signed too. */
  post(body: Buffer, pen: Pen, now: Date, address?: Address): RawRequest;
  /** The content that the signature vouches for, as text that is the same only when that is. */
  covered(request: RawRequest): string;
  /** Seconds on either side of now. */
  readonly window?: number;
  /** The header with the signature, unless it stands in the body. */
  readonly header?: string;
  /** True when any change of the body must be refused. */
  readonly signsBody: boolean;
  /** Public keys of the token's issuer. */
  readonly keys?: ReadonlyMap<string, KeyObject>;
}

type Parts = readonly (string | Uint8Array)[];
const join = (parts: Parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));
const mac = (algorithm: string, key: string | Uint8Array, ...parts: Parts) =>
  createHmac(algorithm, key).update(join(parts)).digest();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const seconds = (now: Date) => String(Math.floor(now.getTime() / 1000));
const json = (mark: string) =>
  Buffer.from(` {"id" :"${mark}","type":"order.paid","caf\\u00e9":"\u00e9 \ud83d\ude80","n":1.00}\r\n`);
const JSON_TYPE = { "content-type": "application/json" };
const FORM_TYPE = { "content-type": "application/x-www-form-urlencoded" };

const shared = (value: string): Pen => ({ signs: value, verifies: value });
const texts = { right: shared("the right one"), before: shared("the one before"), wrong: shared("another") };
const whsec = (text: string) => shared(`whsec_${base64(Buffer.from(text.padEnd(24, ".")))}`);
const whsecs = { right: whsec("right"), before: whsec("before"), wrong: whsec("wrong") };

const post = (body: Buffer, headers: Record<string, string>, url = "/hooks/test"): RawRequest => ({
  ...{ method: "POST", url, body },
  headers: { ...JSON_TYPE, ...headers },
});
const told = (...parts: (string | Uint8Array | undefined)[]) =>
  createHash("sha256")
    .update(JSON.stringify(parts.map((part) => part && hex(Buffer.from(part as string)))))
    .digest("hex");

/** An HMAC of the bare body in one header. */
function plain(scheme: Sender["scheme"], header: string, write: (key: string, body: Buffer) => string): Sender {
  return {
    ...{ name: scheme, scheme, header, pens: texts, signsBody: true, body: json },
    post: (body, pen) => post(body, { [header]: write(pen.signs, body) }),
    covered: (request) => told(request.body),
  };
}

/** `t=…,v1=…` */
function stamped(scheme: Sender["scheme"], header: string, window: number): Sender {
  return {
    ...{ name: scheme, scheme, header, window, pens: texts, signsBody: true, body: json },
    post(body, pen, now) {
      const t = seconds(now);
      return post(body, { [header]: `t=${t},v1=${hex(mac("sha256", pen.signs, `${t}.`, body))}` });
    },
    covered: ({ headers, body }) => told(/(?:^|,)t=(\d+)/.exec(headers[header] ?? "")?.[1], body),
  };
}

function standard(scheme: Sender["scheme"], prefix: string, more: Partial<Sender> = {}): Sender {
  const header = `${prefix}-signature`;
  return {
    ...{ name: scheme, scheme, header, window: 300, pens: whsecs, signsBody: true, body: json },
    post(body, pen, now) {
      const [id, t] = [`msg_${createHash("sha1").update(body).digest("hex")}`, seconds(now)];
      const content = join([`${id}.${t}.`, body]);
      const signature = pen.privateKey
        ? `v1a,${base64(sign(null, content, pen.privateKey))}`
        : `v1,${base64(mac("sha256", Buffer.from(pen.signs.slice(6), "base64"), content))}`;
      return post(body, { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: t, [header]: signature });
    },
    covered: ({ headers, body }) => told(headers[`${prefix}-id`], headers[`${prefix}-timestamp`], body),
    ...more,
  };
}

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
function edwards(seed: string, write: (publicKey: Buffer) => string): Pen {
  const key = Buffer.concat([PKCS8, createHash("sha256").update(seed).digest()]);
  const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  return { signs: "", verifies: write(Buffer.from(x!, "base64url")), privateKey };
}
const edwardsPens = (write: (publicKey: Buffer) => string) => ({
  right: edwards("right", write),
  before: edwards("before", write),
  wrong: edwards("wrong", write),
});

const slack: Sender = {
  ...{ name: "slack", scheme: "slack", header: "x-slack-signature", window: 300, pens: texts, signsBody: true },
  body: json,
  post(body, pen, now) {
    const t = seconds(now);
    const signature = `v0=${hex(mac("sha256", pen.signs, `v0:${t}:`, body))}`;
    return post(body, { "x-slack-request-timestamp": t, "x-slack-signature": signature });
  },
  covered: ({ headers, body }) => told(headers["x-slack-request-timestamp"], body),
};

const telegram: Sender = {
  ...{ name: "telegram", scheme: "telegram", header: "x-telegram-bot-api-secret-token", pens: texts, signsBody: false },
  body: (mark) =>
    Buffer.from(`{"update_id":${Number.parseInt(hex(Buffer.from(mark)), 16) % 1e9},"message":{"text":"hi"}}`),
  post: (body, pen) => post(body, { "x-telegram-bot-api-secret-token": pen.signs }),
  covered: ({ headers }) => told(Buffer.from(headers["x-telegram-bot-api-secret-token"] ?? "", "latin1")),
};

const postmark: Sender = {
  ...{ name: "postmark", scheme: "postmark", header: "authorization", pens: texts, signsBody: false },
  body: (mark) => Buffer.from(JSON.stringify({ MessageID: mark, FromFull: { Email: "a@b.c" }, TextBody: "hi" })),
  post: (body, pen) => post(body, { authorization: `Basic ${base64(Buffer.from(`daimon:${pen.signs}`))}` }),
  covered({ headers }) {
    const text = Buffer.from((headers.authorization ?? "").slice(6), "base64").toString("latin1");
    return told(text.slice(text.indexOf(":") + 1));
  },
};

const TWILIO = "?foo=1&bar=%20x";
const twilioForm: Sender = {
  ...{ name: "twilio, a form", scheme: "twilio", header: "x-twilio-signature", pens: texts, signsBody: true },
  body: (mark) =>
    Buffer.from(`To=%2B18005551212&Body=${encodeURIComponent(`é ${mark}`)}&MessageSid=SM1&A=2&A=1&Empty=`),
  post(body, pen, _, { base, path } = HERE) {
    const url = path + TWILIO;
    const signature = base64(mac("sha1", pen.signs, base + url, sortedForm(body)));
    return post(body, { ...FORM_TYPE, "x-twilio-signature": signature }, url);
  },
  // Twilio joins them without a border.
  covered: ({ url, body, headers }) =>
    headers["content-type"]?.toLowerCase().includes(FORM_TYPE["content-type"])
      ? told(url + sortedForm(body))
      : told(url, body),
};
const twilioJson: Sender = {
  ...twilioForm,
  ...{ name: "twilio, JSON", body: json },
  post(body, pen, _, { base, path } = HERE) {
    const url = `${path}?bodySHA256=${createHash("sha256").update(body).digest("hex")}`;
    return post(body, { "x-twilio-signature": base64(mac("sha1", pen.signs, base + url)) }, url);
  },
  covered: ({ url, body }) => told(url, body),
};

/** As twilio-node joins it: names sorted, each with its sorted distinct values. */
function sortedForm(body: Uint8Array): string {
  const values: Record<string, Set<string>> = {};
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString("utf8"))) {
    values[`$${name}`] ??= new Set();
    values[`$${name}`]!.add(value);
  }
  const names = Object.keys(values).sort();
  return names.flatMap((name) => [...values[name]!].sort().map((value) => name.slice(1) + value)).join("");
}

/** Mailgun signs a time and a token; they stand in the body. */
function mailgunFields(pen: Pen, now: Date, mark: string) {
  const timestamp = seconds(now);
  const token = createHash("sha256").update(mark).digest("hex").slice(0, 50);
  return { timestamp, token, signature: hex(mac("sha256", pen.signs, timestamp + token)) };
}
const mailgunTold = (fields: { timestamp?: unknown; token?: unknown } | null | undefined) =>
  told(String(fields?.timestamp), String(fields?.token));
const mailgun: Sender = {
  ...{ name: "mailgun", scheme: "mailgun", window: 300, pens: texts, signsBody: false },
  body: (mark) => Buffer.from(JSON.stringify({ mark, "event-data": { event: "delivered" } })),
  post(body, pen, now) {
    const data = JSON.parse(body.toString()) as { mark: string };
    return post(Buffer.from(JSON.stringify({ ...data, signature: mailgunFields(pen, now, data.mark) })), {});
  },
  covered({ body }) {
    try {
      return mailgunTold((JSON.parse(Buffer.from(body).toString()) as { signature: object }).signature);
    } catch {
      return "";
    }
  },
};
const mailgunForm: Sender = {
  ...mailgun,
  ...{ name: "mailgun, a forwarded mail", scheme: "mailgunInbound" },
  body: (mark) => Buffer.from(String(new URLSearchParams({ mark, recipient: "a@b.c", subject: "Grüße" }))),
  post(body, pen, now) {
    const form = new URLSearchParams(body.toString());
    const fields = mailgunFields(pen, now, form.get("mark")!);
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    return post(Buffer.from(String(form)), FORM_TYPE);
  },
  covered: ({ body }) => {
    const form = Object.fromEntries(new URLSearchParams(Buffer.from(body).toString()));
    return mailgunTold(form);
  },
};
const BOUNDARY = "----formdata-7MA4YWxk";
const mailgunParts: Sender = {
  ...mailgunForm,
  name: "mailgun, a forwarded mail with a file",
  post(body, pen, now) {
    const form = Object.fromEntries(new URLSearchParams(body.toString()));
    const fields = { ...form, ...mailgunFields(pen, now, form.mark!) };
    const parts = Object.entries(fields).map(
      ([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const file = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="attachment-1"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
    const bytes = Buffer.from([0xff, 0x0d, 0x0a, 0x00]);
    return post(join([...parts, file, bytes, `\r\n--${BOUNDARY}--\r\n`]), {
      "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
    });
  },
  // Whatever stands around them, the values themselves are to be found.
  covered({ body }) {
    const text = Buffer.from(body).toString("latin1");
    return mailgunTold({
      timestamp: /\r\n\r\n(\d{10})\r\n/.exec(text)?.[1],
      token: /\r\n\r\n(\w{50})\r\n/.exec(text)?.[1],
    });
  },
};

const ACCOUNT = "push@project.iam.gserviceaccount.com";
const [issuer, stranger] = [0, 1].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
const gmail: Sender = {
  ...{ name: "gmail", scheme: "gmail", header: "authorization", signsBody: false },
  pens: {
    right: { signs: ACCOUNT, verifies: ACCOUNT, privateKey: issuer!.privateKey },
    before: { signs: "before@x.example", verifies: "before@x.example", privateKey: issuer!.privateKey },
    wrong: { signs: ACCOUNT, verifies: "wrong@x.example", privateKey: stranger!.privateKey },
  },
  keys: new Map([["key-1", issuer!.publicKey]]),
  body: (mark) => Buffer.from(JSON.stringify({ message: { messageId: mark, data: "e30=" }, subscription: "s" })),
  post: (body, pen, now, { base, path } = HERE) =>
    post(body, { authorization: `Bearer ${makeToken(pen, now, { aud: base + path })}` }),
  covered: ({ url, headers }) => told(url, (headers.authorization ?? "").split(".").slice(0, 2).join(".")),
};

/** A token as Google makes it for `/hooks/test`; `claims` and `head` are changed by tests. */
export function makeToken(pen: Pen, now: Date, claims: object = {}, head: object = {}): string {
  const iat = Math.floor(now.getTime() / 1000);
  const body = {
    ...{ aud: `${PUBLIC_URL}/hooks/test`, azp: "1", email: pen.signs, email_verified: true },
    ...{ exp: iat + 3600, iat, iss: "https://accounts.google.com", sub: "1", ...claims },
  };
  const text = [{ alg: "RS256", kid: "key-1", typ: "JWT", ...head }, body]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${sign("RSA-SHA256", Buffer.from(text), pen.privateKey!).toString("base64url")}`;
}

const atom = (mark: string) =>
  Buffer.from(`<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom">
  <link rel="hub" href="https://pubsubhubbub.appspot.com"/><title>YouTube video feed</title>
  <entry><id>yt:video:${mark}</id><yt:videoId>${mark}</yt:videoId><title>Grüße &amp; <![CDATA[<b>]]></title>
  <updated>2026-11-22T12:00:00+00:00</updated></entry></feed>`);
const youtube: Sender = {
  ...plain("youtube", "x-hub-signature", (key, body) => `sha1=${hex(mac("sha1", key, body))}`),
  body: atom,
  post: (body, pen) =>
    post(body, {
      "content-type": "application/atom+xml",
      "x-hub-signature": `sha1=${hex(mac("sha1", pen.signs, body))}`,
    }),
};

const linear: Sender = {
  ...plain("linear", "linear-signature", (key, body) => hex(mac("sha256", key, body))),
  window: 60,
  post(body, pen, now) {
    const text = body.toString("latin1").replace(/"webhookTimestamp":0+/, `"webhookTimestamp":${now.getTime()}`);
    const stamped = Buffer.from(text, "latin1");
    const delivery = createHash("sha1").update(body).digest("hex");
    return post(stamped, { "linear-delivery": delivery, "linear-signature": hex(mac("sha256", pen.signs, stamped)) });
  },
  body: (mark) =>
    Buffer.from(`{"action":"create","type":"Issue","data":{"id":"${mark}"},"webhookTimestamp":0000000000000}`),
};

/** Twelve characters of the URL are signed as they are, however the request has them. */
const HUBSPOT = "?email=a%40b.c%2Fd&e=%C3%A9";
const hubspot: Sender = {
  ...{
    name: "hubspot",
    scheme: "hubspot",
    header: "x-hubspot-signature-v3",
    window: 300,
    pens: texts,
    signsBody: true,
  },
  body: (mark) =>
    Buffer.from(`[{"eventId":1,"objectId":"${mark}","subscriptionType":"contact.creation","occurredAt":1}]`),
  post(body, pen, now, { base, path } = HERE) {
    const t = String(now.getTime());
    const content = join([`POST${base}${path}?email=a@b.c/d&e=%C3%A9`, body, t]);
    const signature = base64(mac("sha256", pen.signs, content));
    return post(body, { "x-hubspot-request-timestamp": t, "x-hubspot-signature-v3": signature }, path + HUBSPOT);
  },
  covered: ({ method, url, headers, body }) =>
    told(
      method,
      url.replace(/%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, (code) => decodeURIComponent(code)),
      body,
      headers["x-hubspot-request-timestamp"],
    ),
};

const discord: Sender = {
  ...{ name: "discord", scheme: "discord", header: "x-signature-ed25519", window: 300, signsBody: true },
  pens: edwardsPens(hex),
  body: (mark) => Buffer.from(`{"id":"${mark}","type":2,"data":{"name":"hi"}}`),
  post(body, pen, now) {
    const t = seconds(now);
    const signature = hex(sign(null, join([t, body]), pen.privateKey!));
    return post(body, { "x-signature-timestamp": t, "x-signature-ed25519": signature });
  },
  covered: ({ headers, body }) => told(headers["x-signature-timestamp"], body),
};

const sha256 = (key: string, body: Buffer) => hex(mac("sha256", key, body));

export const senders: readonly Sender[] = [
  plain("github", "x-hub-signature-256", (key, body) => `sha256=${sha256(key, body)}`),
  stamped("stripe", "stripe-signature", 300),
  slack,
  plain("meta", "x-hub-signature-256", (key, body) => `sha256=${sha256(key, body)}`),
  telegram,
  standard("standardWebhooks", "webhook"),
  standard("standardWebhooksPublic", "webhook", { pens: edwardsPens((key) => `whpk_${base64(key)}`) }),
  standard("resend", "svix"),
  standard("clerk", "svix"),
  plain("shopify", "x-shopify-hmac-sha256", (key, body) => base64(mac("sha256", key, body))),
  stamped("calendly", "calendly-webhook-signature", 180),
  plain("calcom", "x-cal-signature-256", sha256),
  ...[twilioForm, twilioJson, postmark, mailgun, mailgunForm, mailgunParts, gmail, youtube],
  stamped("kit", "x-kit-signature", 300),
  plain("notion", "x-notion-signature", (key, body) => `sha256=${sha256(key, body)}`),
  ...[linear, hubspot, discord],
  plain("generic", "x-signature", sha256),
];
