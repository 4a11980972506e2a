// The senders that publish a library sign with their own here, and judge what we sign with their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as github from "@octokit/webhooks-methods";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import type { RawRequest } from "../define/event.ts";
import { type Scheme, schemes } from "../define/schemes.ts";
import { signRequest } from "./sign.ts";
import { verify } from "./verify.ts";

const PUBLIC_URL = "https://daimon.example";
const WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const JSON_BODY = '{"id":"evt_1","type":"order.paid","name":"Zo\u00eb \ud83d\ude80","total":1.00}\n';
const FORM = { From: "+31600000000", Body: "Hi & welcome: 100%?", SmsMessageSid: "SM1", To: "+31611111111" };
const FORM_BODY = new URLSearchParams(FORM).toString();

interface Vendor {
  readonly name: string;
  readonly scheme: keyof typeof schemes;
  readonly secret: string;
  readonly body: string;
  readonly media?: string;
  sign(body: string, now: Date): Promise<Record<string, string>> | Record<string, string>;
  /** Whether the vendor's own library lets the request in. */
  accepts(request: RawRequest, body: string): Promise<boolean> | boolean;
}

const isAccepted = (judge: () => unknown): boolean => {
  try {
    return judge() !== false;
  } catch {
    return false;
  }
};

/** Svix's library, and the one of the specification that it wrote. */
type Library = new (secret: string) => Pick<StandardWebhook, "sign" | "verify">;

const standard = (name: string, scheme: keyof typeof schemes, prefix: string, library: Library): Vendor => ({
  ...{ name, scheme, secret: WHSEC, body: JSON_BODY },
  sign: (body, now) => ({
    [`${prefix}-id`]: "msg_1",
    [`${prefix}-timestamp`]: String(Math.floor(now.getTime() / 1000)),
    [`${prefix}-signature`]: new library(WHSEC).sign("msg_1", now, body),
  }),
  accepts: ({ headers }, body) => isAccepted(() => new library(WHSEC).verify(body, { ...headers })),
});

const VENDORS: readonly Vendor[] = [
  {
    ...{ name: "@octokit/webhooks-methods", scheme: "github", secret: "It's a Secret", body: JSON_BODY },
    sign: async (body) => ({ "x-hub-signature-256": await github.sign("It's a Secret", body) }),
    accepts: ({ headers }, body) => github.verify("It's a Secret", body, headers["x-hub-signature-256"]!),
  },
  {
    ...{ name: "stripe", scheme: "stripe", secret: "whsec_of_stripe", body: JSON_BODY },
    sign: (payload, now) => ({
      "stripe-signature": Stripe.webhooks.generateTestHeaderString({
        ...{ payload, secret: "whsec_of_stripe", timestamp: Math.floor(now.getTime() / 1000) },
      }),
    }),
    accepts: ({ headers }, body) =>
      isAccepted(() => Stripe.webhooks.constructEvent(body, headers["stripe-signature"]!, "whsec_of_stripe")),
  },
  standard("svix", "resend", "svix", SvixWebhook),
  standard("standardwebhooks", "standardWebhooks", "webhook", StandardWebhook),
  {
    ...{ name: "twilio", scheme: "twilio", secret: "the auth token", body: FORM_BODY },
    media: "application/x-www-form-urlencoded",
    sign: (body) => ({
      "x-twilio-signature": twilio.getExpectedTwilioSignature(
        "the auth token",
        `${PUBLIC_URL}/hooks/here`,
        Object.fromEntries(new URLSearchParams(body)),
      ),
    }),
    accepts: ({ headers }, body) =>
      twilio.validateRequest(
        ...(["the auth token", headers["x-twilio-signature"]!, `${PUBLIC_URL}/hooks/here`] as const),
        Object.fromEntries(new URLSearchParams(body)),
      ),
  },
];

for (const vendor of VENDORS) {
  const { verify: verification } = schemes[vendor.scheme] as Scheme;
  const bare = (body: string): RawRequest => ({
    ...{ method: "POST", url: "/hooks/here", body: Buffer.from(body) },
    headers: { "content-type": vendor.media ?? "application/json", "webhook-id": "msg_1", "svix-id": "msg_1" },
  });
  const judge = (request: RawRequest, secret = vendor.secret) =>
    verify(request, verification, { secrets: [secret], now: new Date(), publicUrl: PUBLIC_URL });

  test(`${vendor.name}: what the sender's library signs is let in, and nothing else`, async () => {
    const request = bare(vendor.body);
    const signed = { ...request, headers: { ...request.headers, ...(await vendor.sign(vendor.body, new Date())) } };
    assert.equal(judge(signed), null);
    assert.equal(judge({ ...signed, body: Buffer.from(`${vendor.body}x`) }), "signature wrong");
    assert.equal(judge(signed, `${vendor.secret.slice(0, -4)}zzzz`), "signature wrong");
  });

  test(`${vendor.name}: what we sign as a sample is let in by the sender's library`, async () => {
    const pen = { secret: vendor.secret, now: new Date(), publicUrl: PUBLIC_URL };
    const signed = signRequest(bare(vendor.body), verification, pen);
    assert.equal(await vendor.accepts(signed, vendor.body), true);
    assert.equal(await vendor.accepts(signed, `${vendor.body}x`), false);
  });
}
