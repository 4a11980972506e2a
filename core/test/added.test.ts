import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../base/environment.ts";
import { scriptedModel } from "./models.ts";
import { readServer, testSystem, until } from "./system.ts";
import { readdress, testVendor } from "./vendor.ts";

const SECRETS = {
  ...{ STRIPE_WEBHOOK_SECRET: "whsec_stripe", STRIPE_API_KEY: "rk_test_1234", KIT_WEBHOOK_SECRET: "kit secret" },
  ...{ YOUTUBE_CHANNEL_ID: "UC_x5XG1OV2P6uZZ5FSM9Ttw", YOUTUBE_API_KEY: "AIza-test-1234" },
  ...{ EMAIL_FROM: "Ada <ada@example.com>", RESEND_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
  ...{ RESEND_API_KEY: "re_test_1234", POSTMARK_SERVER_TOKEN: "pm-token-1", GMAIL_PUSH_ACCOUNT: "push@daimon.example" },
  ...{ GMAIL_TOPIC: "projects/p/topics/mail", GMAIL_CLIENT_ID: "client-id-1", GMAIL_CLIENT_SECRET: "client-secret" },
  GMAIL_REFRESH_TOKEN: "refresh-token",
};
const HOSTS = [
  ...["api.stripe.com", "www.googleapis.com", "pubsubhubbub.appspot.com", "api.resend.com", "api.postmarkapp.com"],
  ...["oauth2.googleapis.com", "gmail.googleapis.com"],
];
const NAMES = ["booking", "email", "payments", "subscribers", "youtube"];
const SENT = [
  ...["stripe charge.succeeded", "stripe charge.dispute.created", "kit subscriber.created", "youtube video"],
  ...["calcom BOOKING_CREATED", "calendly invitee.created", "resend email.received", "postmark inbound", "gmail push"],
];
const RECEIVED = {
  ...{ from: "Grace <grace@navy.example>", to: ["ada@example.com"], subject: "Compilers", text: "When?", html: null },
  ...{ headers: {}, message_id: "<one@navy.example>", attachments: [] },
};
const IN_GMAIL = {
  ...{ id: "m1", threadId: "t1", labelIds: ["INBOX"] },
  payload: {
    mimeType: "text/plain",
    headers: [
      { name: "From", value: "grace@navy.example" },
      { name: "Subject", value: "Compilers" },
    ],
    body: { data: Buffer.from("When?").toString("base64url") },
  },
};

interface Deliveries {
  readonly deliveries: readonly { status: number; body: { id?: string } }[];
}
interface Runs {
  readonly items: readonly {
    id: string;
    handler: string;
    status: string;
    waiting: { kind: string } | null;
    error: unknown;
  }[];
}

test("what is added by name does its work through kill -9: files in the hub, and each mail sent once, when it is approved", async (t) => {
  const vendor = await testVendor(t, {
    "GET /emails/receiving/": () => ({ json: RECEIVED }),
    "POST /emails": () => ({ json: { id: "resend-1" } }),
    "POST /email": () => ({ json: { MessageID: "postmark-1" } }),
    "POST /token": () => ({ json: { access_token: "token-1" } }),
    "GET /gmail/v1/users/me/history": () => ({ json: { history: [{ messagesAdded: [{ message: IN_GMAIL }] }] } }),
    "GET /gmail/v1/users/me/messages/m1": () => ({ json: IN_GMAIL }),
    "POST /gmail/v1/users/me/messages/send": () => ({ json: { id: "gmail-1" } }),
    "GET /v1/events": () => ({ json: { data: [], has_more: false } }),
  });
  const model = await scriptedModel(t, ({ messages }) => {
    const asked = JSON.stringify(messages);
    return {
      text: asked.includes("Write the briefing")
        ? "Grace knows compilers."
        : "ANSWER: She asks.\n\nDear Grace,\nsoon.\n\nAda",
    };
  });
  const environment = { ...SECRETS, ...model.values };
  const system = testSystem(t, environment);
  for (const name of NAMES) {
    const env = {
      PATH: process.env.PATH,
      DAIMON_HOME: system.home,
      DAIMON_CAPABILITIES: system.capabilities,
      ...environment,
    };
    const said = execFileSync(process.execPath, [join(ROOT, "bin/daimon.js"), "add", name, "--yes"], {
      env,
      stdio: "pipe",
    });
    assert.match(String(said), new RegExp(`^${name} is installed\\.$`, "m"));
    const addresses = Object.fromEntries(HOSTS.map((host) => [`https://${host}`, vendor.url]));
    readdress(join(system.capabilities, name), addresses);
  }

  let daimon = await system.start();
  const again = async () => {
    await daimon.kill();
    daimon = await system.start();
  };
  const ask = async <Answer>(method: string, path: string, body?: object): Promise<Answer> => {
    const { url, token } = readServer(system.home);
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return (await response.json()) as Answer;
  };
  const send = async (words: string, more: object = {}) => {
    const [source, type] = words.split(" ");
    const { deliveries } = await ask<Deliveries>("POST", "/api/samples", { source, type, ...more });
    return deliveries[0]!.status;
  };
  for (const words of SENT) {
    assert.match(String(await send(words)), /^20[02]$/, words);
    assert.equal(await send(words, { badSignature: true }), 401, words);
  }
  // What a push finds has come since the push before it was read.
  await until(
    "the first push is read",
    async () => (await ask<{ items: object[] }>("GET", "/api/events?source=gmail&type=point")).items.length > 0,
  );
  await again();
  await send("gmail push");
  const runs = async () => (await ask<Runs>("GET", "/api/runs?limit=100")).items;
  const settled = async () => {
    const all = await runs();
    for (const { handler, status, error } of all)
      assert.notEqual(status, "failed", `${handler}: ${JSON.stringify(error)}`);
    const busy = all.some(({ status, waiting }) => /queued|running/.test(status) || waiting?.kind === "retry");
    return busy ? undefined : all;
  };
  const waiting = (all: Runs["items"]) =>
    all.flatMap(({ handler, waiting }) => (waiting ? [`${handler.split("/")[1]} ${waiting.kind}`] : [])).sort();
  const wanted = [
    "brief event",
    "brief event",
    "follow sleep",
    "gmail-mail approval",
    "postmark-mail approval",
    "resend-mail approval",
  ];
  let seen: Runs["items"] | undefined;
  await until(
    "three answers, two meetings and a video are waited for",
    async () => {
      seen = await runs();
      const all = await settled();
      return all && JSON.stringify(waiting(all)) === JSON.stringify(wanted);
    },
    { instead: () => seen },
  );
  const calls = model.requests.length;
  // Two meetings and three mails; the four that began before the first kill may have been asking in it, and asked again.
  assert.ok(calls >= 5 && calls <= 9, `${calls} model calls`);
  const sends = () =>
    vendor.requests.filter(({ route }) => /^POST .*(\/emails?|\/send)$/.test(route)).map(({ route }) => route);
  assert.deepEqual(sends(), []);

  await again();
  const asked = await ask<{ items: { id: string }[] }>("GET", "/api/approvals?status=waiting");
  assert.equal(asked.items.length, 3);
  for (const { id } of asked.items) await system.daimon("approvals", "approve", id);
  await until(
    "the answers are sent",
    async () => (await settled())?.filter(({ waiting }) => waiting?.kind === "approval").length === 0,
  );
  assert.deepEqual(sends().sort(), ["POST /email", "POST /emails", "POST /gmail/v1/users/me/messages/send"]);
  assert.equal(model.requests.length, calls, "no call that was kept is paid again");

  const hub = join(system.home, "hub");
  const files = globSync(["areas/{meetings,payments,subscribers,videos}/*.md", "inbox/*-mail-*.md"], {
    cwd: hub,
  }).sort();
  const counts = [...Map.groupBy(files, dirname)].map(([folder, all]) => [folder, all.length]);
  assert.deepEqual(Object.fromEntries(counts), {
    ...{ "areas/meetings": 2, "areas/payments": 1, "areas/subscribers": 1, "areas/videos": 1, inbox: 3 },
  });
  for (const file of files) assert.match(readFileSync(join(hub, file), "utf8"), /^trust: untrusted$/m, file);
  const mails = files.filter((file) => file.startsWith("inbox/")).map((file) => readFileSync(join(hub, file), "utf8"));
  for (const mail of mails) assert.equal(mail.match(/\*\*Sent\*\*/g)?.length, 1, mail);
});
