import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as send } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createLive } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import { type Scheme, schemes } from "../define/schemes.ts";
import { secretsOf } from "../define/webhook.ts";
import { startWebServer } from "../server.ts";
import { findEvent, findRequest } from "../store/events.ts";
import { createRefusalCounter } from "../store/refusals.ts";
import { testEngine } from "../test/engine.ts";
import { senders } from "../test/senders.ts";
import { createIntake } from "../triggers/intake.ts";
import { makeKeyPair } from "../triggers/sign.ts";
import type { InstalledSource } from "./installed.ts";
import { sendSamples } from "./samples.ts";

type Name = keyof typeof schemes;

const entry = (value: object) => ({
  object: "whatsapp_business_account",
  entry: [{ id: "1", changes: [{ field: "messages", value }] }],
});
const message = (id: string) => ({ id, from: "31600000000", timestamp: "1", type: "text", text: { body: "hi" } });

/** What a sender posts, shortened, and the events that become of it: type and key. `KEY` is a fresh one. */
const SAMPLES: Record<Name, { data: unknown; type?: string; types: string[]; status?: number }> = {
  github: { data: { action: "opened" }, type: "issues.opened", types: ["issues.opened"] },
  stripe: { data: { id: "evt_1", type: "invoice.paid" }, types: ["invoice.paid"] },
  slack: {
    data: { type: "event_callback", event_id: "Ev1", event: { type: "app_mention", text: "hi" } },
    ...{ types: ["event_callback.app_mention"], status: 200 },
  },
  meta: { data: entry({ messages: [message("wamid.1")] }), types: ["message.text"], status: 200 },
  telegram: { data: { update_id: 1, message: { text: "hi" } }, types: ["message"], status: 200 },
  standardWebhooks: { data: { type: "user.created" }, types: ["user.created"] },
  standardWebhooksPublic: { data: { type: "user.created" }, types: ["user.created"] },
  resend: { data: { type: "email.received", data: { email_id: "1" } }, types: ["email.received"] },
  clerk: { data: { type: "user.created" }, types: ["user.created"] },
  shopify: { data: { id: 1 }, type: "orders/create", types: ["orders/create"] },
  calendly: { data: { event: "invitee.created" }, types: ["invitee.created"] },
  calcom: { data: { triggerEvent: "BOOKING_CREATED" }, types: ["BOOKING_CREATED"] },
  twilio: { data: { SmsMessageSid: "SM1", Body: "Grüße" }, types: ["message"], status: 200 },
  postmark: { data: { MessageID: "m", FromFull: { Email: "a@b.c" } }, types: ["inbound"], status: 200 },
  mailgun: {
    data: { signature: { token: "t" }, "event-data": { event: "delivered" } },
    types: ["delivered"],
    status: 200,
  },
  mailgunInbound: { data: { token: "t", recipient: "a@b.c" }, types: ["inbound"], status: 200 },
  gmail: { data: { message: { messageId: "1", data: "e30=" } }, types: ["push"], status: 200 },
  youtube: {
    data: {
      feed: { "@xmlns": "http://www.w3.org/2005/Atom", entry: { "yt:videoId": "v", updated: "2026-11-22T12:00:00Z" } },
    },
    ...{ types: ["video"], status: 200 },
  },
  kit: {
    data: {
      delivery_id: "d",
      events: [
        { id: "1", type: "subscriber.created" },
        { id: "2", type: "subscriber.created" },
      ],
    },
    types: ["subscriber.created", "subscriber.created"],
  },
  notion: { data: { id: "1", type: "page.created" }, types: ["page.created"], status: 200 },
  linear: { data: { type: "Issue", action: "create", webhookTimestamp: 1 }, types: ["Issue.create"], status: 200 },
  hubspot: {
    data: [1, 2].map((objectId) => ({ eventId: 7, objectId, subscriptionType: "contact.creation", occurredAt: 1 })),
    types: ["contact.creation", "contact.creation"],
  },
  discord: { data: { id: "1", type: 2, data: { name: "hi" } }, types: ["command"], status: 200 },
  generic: { data: { type: "order.paid" }, types: ["order.paid"] },
};

const secretOf = (name: Name, secret: string): readonly string[] => {
  const { pens } = senders.find(({ scheme }) => scheme === name)!;
  return secret === schemes[name].verify.secret ? [pens.right.verifies] : ["the token"];
};

/** All schemes as sources, behind a real port, on a real database. */
async function testDoor(t: TestContext) {
  const engine = await testEngine(t, {}, { idle: true });
  const closed = new Set<string>();
  const sources = new Map<string, InstalledSource>(
    (Object.keys(schemes) as Name[]).map((name) => {
      const webhook = { source: name, ...(schemes[name] as Scheme) };
      let pair: ReturnType<typeof makeKeyPair>;
      const made = () => {
        pair ??= makeKeyPair(webhook.verify);
        return pair;
      };
      const secrets = (secret = webhook.verify.secret) => (closed.has(name) ? [] : secretOf(name, secret));
      return [name, { webhook, secrets, sampleKey: () => pair?.publicKey, sampleKeys: made }];
    }),
  );
  const publicUrl = "https://daimon.example";
  const count = createRefusalCounter(engine.database);
  const counted: Promise<void>[] = [];
  const intake = createIntake({
    ...{ sources, runs: engine.runs, live: createLive(), log: openLog({}), publicUrl },
    refuse: async (refusal) => void (await counted[counted.push(count(refusal)) - 1]),
    now: () => new Date(),
  });
  const server = await startWebServer({
    ...{ host: "127.0.0.1", port: 0, intake: () => intake, app: () => undefined, ready: () => true },
    metrics: () => async () => "",
  });
  t.after(() => server.close());
  const folder = await mkdtemp(join(tmpdir(), "daimon-samples-"));
  t.after(() => rm(folder, { recursive: true }));
  const samples = await Promise.all(
    (Object.keys(SAMPLES) as Name[]).map(async (source) => {
      const { data, type, types } = SAMPLES[source];
      const file = join(folder, `${source}.json`);
      await writeFile(file, JSON.stringify(data));
      return { source, type: type ?? types[0]!, file };
    }),
  );
  return {
    ...{ ...engine, folder, intake, closed, url: server.url, door: (name: string) => `${server.url}/hooks/${name}` },
    sample: (source: Name, more: object = {}) =>
      sendSamples(
        { source, ...more },
        { sources, samples, url: server.url, publicUrl, envFile: "/srv/daimon/.env", now: () => new Date() },
      ),
    events: async (source: string) =>
      await engine.database.query<{ id: string; type: string; key: string }>(
        "select id, type, key from events where source = $1 order by id",
        [source],
      ),
    refusals: async (source: string) => {
      // Counted while the answer is on its way.
      await Promise.all(counted);
      const rows = await engine.database.query<{ reason: string }>(
        "select reason from refusals where source = $1 order by reason",
        [source],
      );
      return rows.map((row) => row.reason);
    },
  };
}

const idOf = (delivery: { body: unknown } | undefined) => (delivery?.body as { id?: string } | undefined)?.id;
const isDuplicate = (delivery: { body: unknown } | undefined) =>
  (delivery?.body as { duplicate?: boolean } | undefined)?.duplicate === true;

test("a sample that is not JSON is named", async (t) => {
  const { sample, folder } = await testDoor(t);
  await writeFile(join(folder, "github.json"), "{ not json");
  await assert.rejects(sample("github"), { code: "sample.invalid", message: /github\.json is not JSON: / });
});

test("a sample of every sender comes in through the real door; again it is the same event, and spoilt it is refused", async (t) => {
  const { sample, events, refusals, database } = await testDoor(t);
  for (const source of Object.keys(SAMPLES) as Name[]) {
    const { types, status } = SAMPLES[source];
    const [first, again] = await sample(source, { duplicate: true });
    assert.deepEqual([first?.status, again?.status], [status ?? 202, 200], source);
    assert.ok(idOf(first), source);
    assert.equal(idOf(again), idOf(first), source);
    assert.deepEqual([first, again].map(isDuplicate), [false, true], source);
    const kept = await events(source);
    assert.deepEqual(
      kept.map((event) => event.type),
      types,
      source,
    );
    assert.equal(new Set(kept.map((event) => event.key)).size, types.length, source);
    for (const { id } of kept) assert.equal((await findEvent(database, id))?.problem, null, source);
    // Other deliveries are other events.
    const more = await sample(source, { times: 2 });
    assert.equal(new Set([first, ...more].map(idOf)).size, 3, source);

    const [spoilt] = await sample(source, { badSignature: true });
    assert.equal(spoilt?.status, 401, source);
    assert.match(JSON.stringify(spoilt?.body), /signature wrong/);
    assert.deepEqual(await refusals(source), ["duplicate", "signature wrong"], source);
    assert.equal((await events(source)).length, types.length * 3, source);
  }
});

test("a stale sample is refused by every scheme that signs a time, and one that signs none says so", async (t) => {
  const { sample, events } = await testDoor(t);
  const timeless: string[] = [];
  for (const source of Object.keys(SAMPLES) as Name[]) {
    const { verify } = schemes[source] as Scheme;
    if (verify.scheme === "token" || ("timestamp" in verify && verify.timestamp)) {
      const [stale] = await sample(source, { stale: true });
      assert.equal(stale?.status, 401, source);
      assert.match(JSON.stringify(stale?.body), /timestamp too far from now|token expired/, source);
    } else {
      timeless.push(source);
      await assert.rejects(sample(source, { stale: true }), {
        code: "sample.invalid",
        message: `${source} signs no time, so nothing of it can be stale.`,
        next: "A delivery that comes again is known by its key: --duplicate.",
      });
    }
    assert.deepEqual(await events(source), [], source);
  }
  assert.ok(timeless.includes("github") && !timeless.includes("stripe"), timeless.join());
});

test("items of one delivery are events of their own: together or not at all, the request kept once", async (t) => {
  const { sample, events, database, door } = await testDoor(t);
  const values = [message("wamid.1"), message("wamid.2")];
  const statuses = [
    { id: "wamid.0", status: "sent" },
    { id: "wamid.0", status: "read" },
  ];
  const data = entry({ contacts: [{ wa_id: "1" }], messages: values, statuses });
  const sender = senders.find(({ scheme }) => scheme === "meta")!;
  const post = async (body: object) => {
    const request = sender.post(Buffer.from(JSON.stringify(body)), sender.pens.right, new Date());
    const response = await fetch(door("meta"), { ...request, body: Buffer.from(request.body) });
    return (await response.json()) as { id: string; ids: string[]; duplicate?: boolean };
  };
  const first = await post(data);
  const kept = await events("meta");
  assert.deepEqual(
    kept.map(({ type, key }) => [type, key]),
    [
      ["message.text", "wamid.1"],
      ["message.text", "wamid.2"],
      ["status.sent", "wamid.0 sent"],
      ["status.read", "wamid.0 read"],
    ],
  );
  assert.deepEqual(
    first.ids,
    kept.map(({ id }) => id),
  );
  const requests = async () => (await database.query("select from requests")).length;
  assert.equal(await requests(), 1);
  for (const { id } of kept) {
    const request = await findRequest(database, id);
    assert.equal(Buffer.from(request!.body).toString(), JSON.stringify(data));
    assert.equal(request!.url, "/hooks/meta");
  }
  const second = await findEvent(database, kept[1]!.id);
  assert.deepEqual(second?.data, {
    object: "whatsapp_business_account",
    entry: { id: "1", changes: { field: "messages", value: { contacts: [{ wa_id: "1" }], messages: values[1] } } },
  });
  // Delivered again with one more: what is known is known, and what is new has its request.
  const more = await post(entry({ messages: [...values, message("wamid.3")] }));
  assert.equal(more.duplicate, undefined);
  assert.deepEqual(more.ids.slice(0, 2), first.ids.slice(0, 2));
  assert.equal((await events("meta")).length, 5);
  assert.equal(await requests(), 2);
  assert.equal((await post(data)).duplicate, true);
  assert.equal(await requests(), 2, "a delivery that brings nothing new is not kept");
  // One alone keeps its request itself.
  await sample("meta");
  assert.equal(await requests(), 2);
  const last = (await events("meta")).at(-1)!;
  assert.match(Buffer.from((await findRequest(database, last.id))!.body).toString(), /wamid|messages/);
});

test("a sender that tries us out is answered when it knows the token, with nothing but its own word", async (t) => {
  const { door, refusals, events } = await testDoor(t);
  const topic = "https://www.youtube.com/xml/feeds/videos.xml?channel_id=UC1";
  const ask = async (source: string, query: Record<string, string>) => {
    const response = await fetch(`${door(source)}?${new URLSearchParams(query)}`);
    return { status: response.status, text: await response.text(), type: response.headers.get("content-type") };
  };
  const right = { "hub.mode": "subscribe", "hub.verify_token": "the token", "hub.challenge": "<b>1158201444</b>" };
  for (const [source, more] of [
    ["meta", {}],
    ["youtube", { "hub.topic": topic }],
  ] as const) {
    const answer = await ask(source, { ...right, ...more });
    assert.deepEqual(answer, { status: 200, text: right["hub.challenge"], type: "text/plain; charset=utf-8" });
    for (const wrong of [
      { "hub.verify_token": "another" },
      { "hub.verify_token": "" },
      { "hub.mode": "publish" },
      ...(source === "youtube" ? [{ "hub.topic": "https://evil.example" }] : []),
    ])
      assert.equal((await ask(source, { ...right, ...more, ...wrong })).status, 401, JSON.stringify(wrong));
    assert.deepEqual(await refusals(source), ["handshake wrong"]);
    assert.equal((await events(source)).length, 0);
  }
  assert.equal((await ask("youtube", right)).status, 401, "without a topic");
  assert.equal((await ask("github", right)).status, 405);
  assert.equal((await ask("nobody", right)).status, 404);
});

test("fields are changed in each item of a list, and a list takes the whole sample's place", async (t) => {
  const { sample, events, database } = await testDoor(t);
  await sample("hubspot", { data: { objectId: 7, subscriptionType: "contact.deletion" } });
  const kept = await events("hubspot");
  assert.deepEqual(
    kept.map(({ type }) => type),
    ["contact.deletion", "contact.deletion"],
  );
  for (const { id } of kept) {
    const found = (await findEvent(database, id))!;
    assert.equal((found.data as { objectId: number }).objectId, 7);
  }
  const given = [{ eventId: 1, objectId: 8, subscriptionType: "deal.creation", occurredAt: 2 }];
  const [first, again] = await sample("hubspot", { data: given, times: 2 });
  assert.deepEqual([first?.status, again?.status], [202, 202]);
  const keys = (await events("hubspot")).filter(({ type }) => type === "deal.creation").map(({ key }) => key);
  assert.equal(keys[0], "1 8 2", "a key that is given is used");
  assert.equal(new Set(keys).size, 2, "once");
});

test("each of several deliveries is another, wherever in it the key stands", async (t) => {
  const { sample, events } = await testDoor(t);
  await sample("meta", { data: entry({ statuses: [{ id: "wamid.0", status: "read" }] }), times: 3 });
  assert.equal((await events("meta")).length, 3);
});

test("a challenge that is signed is answered, one that is not is refused", async (t) => {
  const { door, events } = await testDoor(t);
  const post = async (name: Name, body: string, pen: "right" | "wrong") => {
    const sender = senders.find(({ scheme }) => scheme === name)!;
    const request = sender.post(Buffer.from(body), sender.pens[pen], new Date());
    const response = await fetch(door(name), { ...request, body: Buffer.from(request.body) });
    return [response.status, await response.text()] as const;
  };
  const challenge = '{"type":"url_verification","challenge":"3eZbrw1a"}';
  assert.deepEqual(await post("slack", challenge, "right"), [200, "3eZbrw1a"]);
  assert.equal((await post("slack", challenge, "wrong"))[0], 401);
  assert.deepEqual(await post("discord", '{"id":"1","type":1}', "right"), [200, '{"type":1}']);
  assert.equal((await post("discord", '{"id":"1","type":1}', "wrong"))[0], 401);
  for (const source of ["slack", "discord"]) assert.equal((await events(source)).length, 0);
  // What waits for an answer within seconds gets the one that says: later.
  for (const [type, reply] of [
    [2, 5],
    [3, 6],
    [5, 5],
  ])
    assert.deepEqual(await post("discord", `{"id":"i${type}","type":${type}}`, "right"), [200, `{"type":${reply}}`]);
  assert.deepEqual(
    (await events("discord")).map(({ type }) => type),
    ["command", "component", "modal"],
  );
});

test("the secret that a sender chooses is for the owner's eyes, and only while there is none", async (t) => {
  const { door, intake, closed, refusals, events } = await testDoor(t);
  const post = async (body: string) => (await fetch(door("notion"), { method: "POST", body })).status;
  const token = '{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}';
  assert.equal(await post(token), 401);
  assert.equal(intake.offered("notion"), undefined);
  closed.add("notion");
  assert.equal(await post('{"id":"1"}'), 503);
  assert.equal(intake.offered("notion"), undefined);
  assert.equal(await post(token), 200);
  assert.equal(intake.offered("notion"), "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl");
  assert.deepEqual((await events("notion")).length, 0);
  assert.ok((await refusals("notion")).includes("it brought its secret: `daimon doctor` shows it"));
  assert.doesNotMatch((await refusals("notion")).join(), /secret_/);
  closed.add("github");
  assert.equal((await fetch(door("github"), { method: "POST", body: token })).status, 503);
});

test("what a sender repeats of our secret is not kept with its request", async (t) => {
  const { sample, events, database } = await testDoor(t);
  for (const name of ["telegram", "postmark"] as const) {
    await sample(name);
    const [event] = await events(name);
    const request = await findRequest(database, event!.id);
    assert.doesNotMatch(JSON.stringify(request!.headers), /the right one|dGhlIHJpZ2h0/);
    assert.match(JSON.stringify(request!.headers), /\(secret\)/);
  }
});

test("a header that comes twice over the wire is refused, the first of them right or the second", async (t) => {
  const { door, sample } = await testDoor(t);
  for (const name of ["github", "postmark", "gmail", "stripe"] as const) {
    // The key by which this process signs a token is made with the first sample.
    await sample(name);
    const sender = senders.find(({ scheme }) => scheme === name)!;
    const request = sender.post(sender.body("twice"), sender.pens.right, new Date());
    const headers = Object.entries(request.headers).flat();
    const status = await new Promise((resolve, reject) => {
      const outgoing = send(
        door(name),
        { method: "POST", headers: [...headers, sender.header!, "x", "host", "localhost"] },
        (answer) => resolve(answer.resume().statusCode),
      );
      outgoing.on("error", reject).end(request.body);
    });
    assert.equal(status, 401, name);
  }
});

test("a stranger's body is read only so far where the headers tell a stranger", async (t) => {
  const { door } = await testDoor(t);
  const body = Buffer.alloc(2 << 20, " ");
  const post = async (password: string) => {
    const authorization = `Basic ${Buffer.from(`daimon:${password}`).toString("base64")}`;
    return (await fetch(door("postmark"), { method: "POST", headers: { authorization }, body })).status;
  };
  assert.equal(await post("the right one"), 200);
  assert.equal(await post("another"), 413);
});

test("every scheme says how it is set up, and which secrets are to be written where", () => {
  for (const [name, scheme] of Object.entries(schemes) as [string, Scheme][]) {
    const secrets = secretsOf({ source: name, ...scheme });
    assert.match(scheme.setup ?? "", /this address/, name);
    for (const secret of secrets) assert.ok(scheme.setup!.includes(secret), `${name}: ${secret}`);
    assert.doesNotMatch(scheme.setup!, /undefined/);
  }
});
