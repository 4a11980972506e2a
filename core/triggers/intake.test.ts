import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createLive, type LiveChange } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import { schemes } from "../define/schemes.ts";
import type { TokenVerification, Webhook } from "../define/webhook.ts";
import { connect } from "../store/database.ts";
import { findEvent, findRequest } from "../store/events.ts";
import { BODY } from "../store/keep.ts";
import { createRefusalCounter } from "../store/refusals.ts";
import { type TestHandler, testEngine } from "../test/engine.ts";
import { makeToken, PUBLIC_URL, senders } from "../test/senders.ts";
import { until } from "../test/system.ts";
import { createIntake } from "./intake.ts";

const SECRET = "a secret";
const webhook: Webhook = {
  source: "test",
  verify: { scheme: "hmac", algorithm: "sha256", encoding: "hex", header: "X-Signature", secret: "TEST_SECRET" },
  type: [{ header: "X-Event" }, { data: "action" }],
  key: { header: "X-Delivery" },
};

type Given = { body?: string | Uint8Array; headers?: Record<string, string>; secret?: string };

/** The door for the world on a real hall: what it is sent is signed, unless the test signs otherwise. */
async function testIntake(t: TestContext, handlers: Record<string, TestHandler>, more: Partial<Webhook> = {}) {
  const engine = await testEngine(t, handlers);
  const live = createLive();
  const changes: LiveChange[] = [];
  live.subscribe((change) => changes.push(change));
  let secrets: readonly string[] = [SECRET];
  let ahead = 0;
  const intake = createIntake({
    sources: new Map([["test", { webhook: { ...webhook, ...more }, secrets: () => secrets }]]),
    runs: engine.runs,
    refuse: createRefusalCounter(engine.database),
    live,
    log: openLog({}),
    now: () => new Date(Date.now() + ahead),
    publicUrl: PUBLIC_URL,
  });
  return {
    ...engine,
    wait: (seconds: number) => {
      ahead += seconds * 1000;
    },
    intake,
    changes,
    setSecrets: (values: readonly string[]) => {
      secrets = values;
    },
    async post(type: string, given: Given = {}, source = "test") {
      const body = Buffer.from((given.body ?? "{}") as string);
      const headers = {
        "content-type": "application/json",
        "x-event": type,
        "x-delivery": randomUUID(),
        "x-signature": createHmac("sha256", given.secret ?? SECRET)
          .update(body)
          .digest("hex"),
        ...given.headers,
      };
      const request = { method: "POST", url: `/hooks/${source}?a=1`, headers, body };
      const answer = await intake.receive(source, request);
      return { ...answer, ...(answer.body as { id?: string; error?: { code: string; next?: string } }) };
    },
    /** As soon as there are so many: they are written a moment later. */
    async refusals(length: number) {
      return await until(`${length} refusals`, async () => {
        const rows = await engine.database.query("select source, reason, count from refusals order by 1, 2");
        return rows.length >= length && rows;
      });
    },
    async eventCount() {
      return (await engine.database.query("select from events where source = 'test'")).length;
    },
  };
}

const note: TestHandler = { run: async ({ event }) => event.data };

test("a verified request is an event with its raw bytes and headers, and its runs are queued with it", async (t) => {
  const { post, database, until } = await testIntake(t, { "push.opened": note });
  const body = ' {"action" :"opened",\n\t"caf\\u00e9": "e\u0301 \ud83d\ude80", "n": 1.00, "n": 2}\r\n';
  const answer = await post("push", { body, headers: { "x-odd": "\u00ff  two" } });
  assert.equal(answer.status, 202);
  const event = await findEvent(database, answer.id!);
  assert.deepEqual([event?.type, event?.data], ["push.opened", JSON.parse(body)]);
  assert.deepEqual(event?.label, { integrity: "untrusted", privacy: "public" });
  const request = await findRequest(database, answer.id!);
  assert.deepEqual(Buffer.from(request!.body), Buffer.from(body));
  assert.deepEqual([request?.method, request?.url], ["POST", "/hooks/test?a=1"]);
  assert.equal(request?.headers["x-odd"], "\u00ff  two");
  const [run] = await database.query<{ id: string }>("select id from runs where event_id = $1", [answer.id]);
  assert.deepEqual((await until(run!.id)).result, JSON.parse(body));
});

test("what is not verified leaves nothing but a count and a reason", async (t) => {
  const { post, refusals, changes, eventCount } = await testIntake(t, { push: note });
  for (let time = 0; time < 2; time++) assert.equal((await post("push", { secret: "another" })).status, 401);
  assert.equal((await post("push", { headers: { "x-signature": "" } })).error?.code, "webhook.unverified");
  assert.equal(await eventCount(), 0);
  assert.deepEqual(await refusals(2), [
    { source: "test", reason: "signature missing", count: 1 },
    { source: "test", reason: "signature wrong", count: 2 },
  ]);
  assert.deepEqual(
    changes.map((change) => [change.kind, change.text]),
    [
      ["refusal", "signature wrong"],
      ["refusal", "signature wrong"],
      ["refusal", "signature missing"],
    ],
  );
});

test("a source that is not there is 404, one without a secret 503 and never open", async (t) => {
  const { post, setSecrets, eventCount } = await testIntake(t, { push: note });
  const nobody = await post("push", {}, "nobody");
  assert.deepEqual([nobody.status, nobody.error?.next], [404, "daimon list"]);
  setSecrets([]);
  const closed = await post("push", { secret: "undefined" });
  assert.deepEqual(
    [closed.status, closed.error?.code, closed.headers?.["retry-after"]],
    [503, "source.unready", "300"],
  );
  setSecrets(["new", SECRET]);
  assert.equal((await post("push")).status, 202);
  assert.equal(await eventCount(), 1);
});

test("the same delivery is one event with one run, however many come at once", async (t) => {
  const { post, database, eventCount } = await testIntake(t, { push: note });
  const headers = { "x-delivery": "the same" };
  const answers = await Promise.all(Array.from({ length: 20 }, () => post("push", { headers })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(19).fill(200), 202]);
  assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
  assert.equal(await eventCount(), 1);
  assert.equal((await database.query("select from runs")).length, 1);
  assert.deepEqual((await post("push", { headers })).body, { id: answers[0]!.id, duplicate: true });
});

test("another event under a key that is known changes nothing: the first one gets no run that is not for its type", async (t) => {
  const { post, database } = await testIntake(t, { push: note });
  const headers = { "x-delivery": "the same" };
  const first = await post("unwanted", { headers, body: '{"n":1}' });
  for (const body of ['{"n":1}', '{"n":2}']) {
    assert.deepEqual((await post("push", { headers, body })).body, { id: first.id, duplicate: true });
  }
  assert.deepEqual(await database.query("select outcome, (select count(*) from runs) as runs from events"), [
    { outcome: "ignored", runs: 0 },
  ]);
});

test("without a key of its own, a delivery is known by its bytes", async (t) => {
  const { post } = await testIntake(t, { push: note });
  const headers = { "x-delivery": "" };
  const one = await post("push", { headers, body: '{"a":1}' });
  assert.equal((await post("push", { headers, body: '{"a":1}' })).id, one.id);
  assert.notEqual((await post("push", { headers, body: '{"a": 1}' })).id, one.id);
});

const unreadable: [string, string | Uint8Array, Record<string, string>, RegExp][] = [
  ["cut JSON", '{"a": 1', {}, /^The body is not JSON: /],
  ["NUL in broken JSON", '{"a": \0}', {}, /^The body is not JSON: /],
  [
    "JSON without a floor",
    "[".repeat(9999) + "]".repeat(9999),
    {},
    /^The body is nested more than 1000 levels deep\.$/,
  ],
  ["nothing", "", {}, /^The body is not JSON: /],
  ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), {}, /^The body is not UTF-8\.$/],
  ["a byte order mark before the JSON", '\ufeff{"a": 1}', {}, /^The body is not JSON: /],
  ["a form with a broken payload", "payload={", { "content-type": FORM() }, /^The body is not JSON: /],
];
function FORM() {
  return "application/x-www-form-urlencoded";
}

for (const [what, body, headers, problem] of unreadable) {
  test(`${what}, rightly signed, is kept, and its run fails with a sentence`, async (t) => {
    const { post, database, until } = await testIntake(t, { push: note, other: note });
    const answer = await post("push", { body, headers });
    assert.equal(answer.status, 202);
    const [run] = await database.query<{ id: string }>("select id from runs where event_id = $1", [answer.id]);
    const ended = await until(run!.id);
    assert.deepEqual([ended.status, ended.error?.code], ["failed", "event.unreadable"]);
    assert.match(ended.error!.message, problem);
    assert.deepEqual(Buffer.from((await findRequest(database, answer.id!))!.body), Buffer.from(body as string));
    // It stands in nobody's way.
    const next = await post("other");
    const [beside] = await database.query<{ id: string }>("select id from runs where event_id = $1", [next.id]);
    assert.equal((await until(beside!.id)).status, "completed");
  });
}

test("a kept body that cannot be read any more fails its own run, and no other is held up", async (t) => {
  const { runs, until, post, database } = await testIntake(t, { push: note });
  const request = { method: "POST", url: "/", headers: {}, body: Buffer.from("\ufeff{}") };
  const label = { integrity: "untrusted", privacy: "public" } as const;
  const kept = await runs.dispatch({ source: "test", type: "push", data: BODY, label, request }, undefined, {});
  assert.equal((await until(kept.runIds[0]!)).error?.code, "event.unreadable");
  const next = await post("push");
  const [beside] = await database.query<{ id: string }>("select id from runs where event_id = $1", [next.id]);
  assert.equal((await until(beside!.id)).status, "completed");
});

test("a form is read, and JSON in its field payload too", async (t) => {
  const { post, database } = await testIntake(t, {});
  const headers = { "content-type": `${FORM()}; charset=utf-8` };
  const plain = await post("push", { headers, body: "a=1&b=%C3%A9+x&a=2" });
  assert.deepEqual((await findEvent(database, plain.id!))?.data, { a: ["1", "2"], b: "é x" });
  const wrapped = await post("push", { headers, body: `payload=${encodeURIComponent('{"action":"go"}')}` });
  const event = await findEvent(database, wrapped.id!);
  assert.deepEqual([event?.type, event?.data], ["push.go", { action: "go" }]);
});

test("JSON that is no object, and JSON that names the insides of objects, is data like any other", async (t) => {
  const { post, database } = await testIntake(t, {});
  for (const body of ["null", "[1,2]", '"text"', "0", "true", '{"__proto__":{"action":"x"},"constructor":1}']) {
    const answer = await post("push", { body });
    assert.equal(answer.status, 202);
    const event = await findEvent(database, answer.id!);
    assert.deepEqual([event?.type, JSON.stringify(event?.data)], ["push", body]);
  }
});

test("whatever the sender names an event or a delivery, it is kept", async (t) => {
  const { post, database, until } = await testIntake(t, {
    "push.*": { run: async () => "ran", concurrency: { key: "who", limit: 1 } },
  });
  const long = randomUUID().repeat(200);
  const named = await post("push", { body: JSON.stringify({ action: "\0half", who: { toString: long } }) });
  assert.equal(named.status, 202, "a NUL, which the database cannot hold");
  assert.equal((await post("nobody\0", {})).status, 202, "a NUL in what no trigger wants");
  const [run] = await database.query<{ id: string }>("select id from runs where event_id = $1", [named.id]);
  assert.equal((await until(run!.id)).result, "ran");
  const much = await post(long, { headers: { "x-delivery": long } });
  assert.equal(much.status, 202, "longer than an index takes");
  assert.equal((await post(long, { headers: { "x-delivery": long } })).id, much.id);
  assert.notEqual((await post(long, { headers: { "x-delivery": `${long}!` } })).id, much.id);
});

test("while the database is away the sender is asked to come again, and nothing is lost or doubled", async (t) => {
  const { database } = await testEngine(t, {}, { idle: true });
  const gone = connect({ host: "/nonexistent", connectionTimeoutMillis: 500 });
  t.after(() => gone.close());
  let away = true;
  const fickle: typeof database = {
    ...database,
    query: (...given) => (away ? gone : database).query(...given),
  };
  const { post, eventCount } = await (async () => {
    const engine = await testEngine(t, { push: note }, { database: fickle, idle: true });
    const intake = createIntake({
      sources: new Map([["test", { webhook, secrets: () => [SECRET] }]]),
      runs: engine.runs,
      refuse: createRefusalCounter(fickle),
      live: createLive(),
      log: openLog({}),
      now: () => new Date(),
      publicUrl: PUBLIC_URL,
    });
    return {
      post: (key: string) =>
        intake.receive("test", {
          ...{ method: "POST", url: "/hooks/test", body: Buffer.from("{}") },
          headers: {
            "x-event": "push",
            "x-delivery": key,
            "x-signature": createHmac("sha256", SECRET).update("{}").digest("hex"),
          },
        }),
      eventCount: async () => (await database.query("select from events")).length,
    };
  })();
  const answers = await Promise.all(["1", "2", "3"].map(post));
  for (const { status, headers } of answers) assert.deepEqual([status, headers], [503, { "retry-after": "5" }]);
  away = false;
  for (const key of ["1", "2", "3"]) assert.equal((await post(key)).status, 202);
  assert.equal((await post("1")).status, 200);
  assert.equal(await eventCount(), 3);
});

test("a token is judged by the keys that its issuer publishes; while they cannot be had it is to come again", async (t) => {
  const sender = senders.find(({ scheme }) => scheme === "gmail")!;
  let served: object | null = null;
  let asked = 0;
  const issuer = createServer((_, response) => {
    asked++;
    response.writeHead(served ? 200 : 500).end(JSON.stringify(served));
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  t.after(() => issuer.close());
  const keys = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`;
  const { post, setSecrets, refusals, wait } = await testIntake(
    t,
    { push: note },
    { verify: { ...(schemes.gmail.verify as TokenVerification), keys } },
  );
  setSecrets([sender.pens.right.verifies]);
  const aud = `${PUBLIC_URL}/hooks/test?a=1`;
  const show = async (claims: object = {}, head: object = {}) =>
    await post("push", {
      headers: { authorization: `Bearer ${makeToken(sender.pens.right, new Date(), { aud, ...claims }, head)}` },
    });
  assert.equal((await show({ aud: "https://other.example" })).status, 401);
  assert.equal(asked, 0, "nothing is fetched for a token that is wrong anyway");
  const away = await show();
  assert.deepEqual([away.status, away.error?.code, away.headers?.["retry-after"]], [503, "source.unready", "300"]);
  wait(6);
  served = { keys: [...sender.keys!].map(([kid, key]) => ({ ...key.export({ format: "jwk" }), kid })) };
  assert.deepEqual(
    (await Promise.all([show(), show()])).map(({ status }) => status),
    [202, 202],
  );
  assert.equal((await show({}, { kid: "unknown" })).status, 401);
  assert.equal(asked, 2);
  const reasons = (await refusals(3)).map((row) => (row as { reason: string }).reason);
  assert.deepEqual(reasons, ["key unknown", "keys unreachable", "token for somebody else"]);
});

test("above a source's rate the sender is told when to come again, strangers take nothing of it, and nothing is lost", async (t) => {
  const door = await testIntake(t, { push: note }, { rate: { limit: 2, per: "1m" } });
  assert.equal((await door.post("push", { secret: "another" })).status, 401);
  assert.deepEqual([(await door.post("push")).status, (await door.post("push")).status], [202, 202]);
  door.wait(15.5);
  const over = await door.post("push", { headers: { "x-delivery": "over" } });
  assert.deepEqual([over.status, over.error?.code], [429, "source.often"]);
  const seconds = Number(over.headers?.["retry-after"]);
  assert.ok(seconds >= 43 && seconds <= 45, `${seconds} s`);
  assert.equal(await door.eventCount(), 2);
  door.wait(seconds);
  assert.equal((await door.post("push", { headers: { "x-delivery": "over" } })).status, 202);
  assert.ok(door.changes.some((change) => change.kind === "refusal" && change.text === "over its rate"));
});
