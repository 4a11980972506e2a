import assert from "node:assert/strict";
import { test } from "node:test";
import type { RawRequest } from "../define/event.ts";
import { type Scheme, schemes } from "../define/schemes.ts";
import { makeToken, type Pen, PUBLIC_URL, type Sender, senders } from "../test/senders.ts";
import { toEvents } from "./event.ts";
import { makeKeyPair, SAMPLE_KEY, signRequest } from "./sign.ts";
import { verify } from "./verify.ts";

const NOW = new Date("2026-11-22T12:00:00Z");
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);

type Given = { secrets?: readonly string[]; now?: Date };
const judge = (sender: Sender, request: RawRequest, { secrets, now = NOW }: Given = {}) =>
  verify(request, (schemes[sender.scheme] as Scheme).verify, {
    ...{ secrets: secrets ?? [sender.pens.right.verifies], now, publicUrl: PUBLIC_URL, keys: sender.keys },
  });
const send = (sender: Sender, body = sender.body("m1"), pen: Pen = sender.pens.right, now = NOW) =>
  sender.post(body, pen, now);
const withHeaders = (request: RawRequest, headers: Record<string, string>): RawRequest => ({
  ...request,
  headers: { ...request.headers, ...headers },
});
const withoutHeader = (request: RawRequest, header: string): RawRequest => {
  const { [header]: _, ...headers } = request.headers;
  return { ...request, headers };
};
function flip(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

test("every scheme of the table has a sender here", () => {
  assert.deepEqual([...new Set(senders.map(({ scheme }) => scheme))].sort(), Object.keys(schemes).sort());
});

for (const sender of senders) {
  const { header, window, pens } = sender;
  const at = header ? `, in ${header}` : "";

  test(`${sender.name}: the right signature${at} is let in, one by another key is not`, () => {
    assert.equal(judge(sender, send(sender)), null);
    assert.equal(judge(sender, send(sender, undefined, pens.wrong)), "signature wrong");
    assert.notEqual(judge(sender, send(sender), { secrets: [pens.wrong.verifies] }), null);
  });

  test(`${sender.name}: one bit that is changed is refused, wherever it stands`, () => {
    const request = send(sender);
    const bits = request.body.length * 8;
    if (sender.signsBody) {
      for (let bit = 0; bit < bits; bit += 7) {
        const changed = { ...request, body: flip(request.body, bit) };
        const same = sender.covered(changed) === sender.covered(request);
        assert.equal(judge(sender, changed) === null, same, `bit ${bit}`);
      }
    }
    for (const name of Object.keys(request.headers).filter((name) => name !== "content-type")) {
      const value = Buffer.from(request.headers[name]!, "latin1");
      for (let bit = 0; bit < value.length * 8; bit++) {
        const changed = withHeaders(request, { [name]: flip(value, bit).toString("latin1") });
        const same = sender.covered(changed) === sender.covered(request);
        // Of basic authentication only the password counts.
        if (same && (name !== header || sender.scheme === "postmark")) continue;
        assert.notEqual(judge(sender, changed), null, `${name}: ${changed.headers[name]}`);
      }
    }
    for (const url of [`${request.url}x`, request.url.replace("test", "tesu")]) {
      const same = sender.covered({ ...request, url }) === sender.covered(request);
      assert.equal(judge(sender, { ...request, url }) === null, same, url);
    }
  });

  test(`${sender.name}: ${window ? `older or newer than ${window} s is refused` : "its time is not limited by a window"}`, () => {
    for (const sign of [-1, 1]) {
      if (!window) continue;
      assert.equal(judge(sender, send(sender, undefined, undefined, later(sign * window))), null);
      const away = send(sender, undefined, undefined, later(sign * (window + 1)));
      assert.equal(judge(sender, away), "timestamp too far from now");
    }
    if (window || sender.scheme === "gmail") return;
    assert.equal(judge(sender, send(sender), { now: later(86_400) }), null);
  });

  test(`${sender.name}: while its secret is rotated both are let in, and afterwards the new one alone`, () => {
    const old = send(sender, undefined, pens.before);
    const both = [pens.right.verifies, pens.before.verifies];
    assert.deepEqual(
      [judge(sender, old, { secrets: both }), judge(sender, send(sender), { secrets: both })],
      [null, null],
    );
    assert.deepEqual(
      [judge(sender, old, { secrets: both.toReversed() }), judge(sender, send(sender), { secrets: both.toReversed() })],
      [null, null],
    );
    assert.notEqual(judge(sender, old), null);
  });

  test(`${sender.name}: without a signature, with an empty one, or without a secret nobody is let in`, () => {
    const request = send(sender);
    if (header) {
      assert.equal(judge(sender, withoutHeader(request, header)), "signature missing");
      assert.equal(judge(sender, withHeaders(request, { [header]: "" })), "signature missing");
    } else {
      const bare = { ...request, body: Buffer.from(request.body.toString().replaceAll("signature", "signatur")) };
      assert.equal(judge(sender, bare), "signature missing");
    }
    for (const name of Object.keys(request.headers)) {
      const changed = withoutHeader(request, name);
      if (sender.covered(changed) !== sender.covered(request)) assert.notEqual(judge(sender, changed), null, name);
    }
    const empty = { signs: "", verifies: "", ...(pens.wrong.privateKey ? { privateKey: pens.wrong.privateKey } : {}) };
    for (const secrets of [[], [""], ["whsec_"], ["whpk_"]]) {
      assert.notEqual(judge(sender, request, { secrets }), null);
      assert.notEqual(judge(sender, send(sender, undefined, empty), { secrets }), null, `${secrets}`);
    }
  });

  test(`${sender.name}: the same said in another way is not the same`, () => {
    const request = send(sender);
    if (sender.signsBody && request.headers["content-type"] === "application/json") {
      const body = Buffer.from(JSON.stringify(JSON.parse(request.body.toString())));
      const again = Buffer.concat([body, Buffer.from(" ")]);
      for (const other of [again, body]) {
        if (other.equals(Buffer.from(request.body))) continue;
        assert.notEqual(judge(sender, { ...request, body: other }), null);
      }
    }
    if (!header) return;
    const value = request.headers[header]!;
    const ways = [` ${value}`, `${value} `, `${value}=`, `${value},`, value.replace(/=+$/, ""), value.slice(0, -1)];
    for (const way of [...ways, value.toUpperCase(), value.replaceAll("+", "-").replaceAll("/", "_")]) {
      if (way !== value) assert.notEqual(judge(sender, withHeaders(request, { [header]: way })), null, way);
    }
  });

  test(`${sender.name}: a header that came twice is refused, whichever is right`, () => {
    const request = send(sender);
    const wrong = send(sender, undefined, pens.wrong);
    for (const name of header ? [header] : []) {
      const [good, bad] = [request.headers[name]!, wrong.headers[name]!];
      for (const value of [
        `${good}, ${good}`,
        `${good}, ${bad}`,
        `${bad}, ${good}`,
        `${good}, `,
        `, ${good}`,
        `x, ${good}`,
      ])
        assert.notEqual(judge(sender, withHeaders(request, { [name]: value })), null, value);
    }
    for (const [name, value] of Object.entries(request.headers)) {
      const twice = withHeaders(request, { [name]: `${value}, ${value}` });
      if (sender.covered(twice) !== sender.covered(request)) assert.notEqual(judge(sender, twice), null, name);
    }
  });

  test(`${sender.name}: a mebibyte, nothing, and bytes that are no UTF-8 are signed like anything else`, () => {
    if (!sender.signsBody || sender.scheme === "linear") return;
    const bodies = [Buffer.alloc(1 << 20, "["), Buffer.alloc(0)];
    if (sender.name !== "twilio, a form") bodies.push(Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x22]));
    for (const body of bodies) {
      const request = send(sender, body);
      const began = performance.now();
      assert.equal(judge(sender, request), null);
      assert.ok(performance.now() - began < 5000);
      if (body.length > 0) assert.notEqual(judge(sender, { ...request, body: flip(body, body.length * 8 - 1) }), null);
      assert.notEqual(judge(sender, { ...request, body: Buffer.from(`${body}!`) }), null);
    }
  });

  test(`${sender.name}: what our own signer makes of its data is let in, and becomes an event`, () => {
    const scheme: Scheme = schemes[sender.scheme];
    const pair = makeKeyPair(scheme.verify);
    const bare = {
      ...send(sender),
      headers: { "content-type": send(sender).headers["content-type"]!, "webhook-id": "1", "svix-id": "1" },
    };
    const pen = { secret: pens.right.signs, privateKey: pair?.privateKey, now: NOW, publicUrl: PUBLIC_URL };
    const signed = sender.name.endsWith("file") ? send(sender) : signRequest(bare, scheme.verify, pen);
    const proof = { secrets: [pens.right.verifies], now: NOW, publicUrl: PUBLIC_URL };
    const keys = pair && new Map([[SAMPLE_KEY, pair.publicKey]]);
    assert.equal(verify(signed, scheme.verify, { ...proof, keys }), null);
    if (pair) assert.notEqual(verify(signed, scheme.verify, proof), null);
    const brought = toEvents({ source: "test", ...scheme }, signed);
    const [event] = "events" in brought ? brought.events : [brought.event];
    assert.equal(event!.problem, undefined);
    assert.ok(event!.key);
  });
}

const text = (body: string) => Buffer.from(body);
const VECTORS: [string, Sender["scheme"], string, RawRequest, number][] = [
  [
    "GitHub's: docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    "github",
    "It's a Secret to Everybody",
    {
      ...{ method: "POST", url: "/", body: text("Hello, World!") },
      headers: { "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" },
    },
    0,
  ],
  [
    "Slack's: docs.slack.dev/authentication/verifying-requests-from-slack",
    "slack",
    "8f742231b10e8888abcd99yyyzzz85a5",
    {
      ...{ method: "POST", url: "/" },
      headers: {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
      },
      body: text(
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
      ),
    },
    1531420618,
  ],
  ...(["webhook", "svix"] as const).map((prefix): (typeof VECTORS)[number] => [
    `${prefix}'s, of both libraries' tests`,
    prefix === "svix" ? "resend" : "standardWebhooks",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    {
      ...{ method: "POST", url: "/", body: text('{"test": 2432232314}') },
      headers: {
        [`${prefix}-id`]: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        [`${prefix}-timestamp`]: "1614265330",
        [`${prefix}-signature`]:
          "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
      },
    },
    1614265330,
  ]),
  [
    "Svix's for a public key, of its server's tests",
    "standardWebhooksPublic",
    "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    {
      ...{ method: "POST", url: "/", body: text('{"test": 2432232314}') },
      headers: {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature":
          "v1,AAAA v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
      },
    },
    1614265330,
  ],
  [
    "Twilio's for a form, of its libraries' tests",
    "twilio",
    "12345",
    {
      ...{ method: "POST", url: "/myapp.php?foo=1&bar=2" },
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
      },
      body: text("To=%2B18005551212&From=%2B14158675309&Digits=1234&Caller=%2B14158675309&CallSid=CA1234567890ABCDE"),
    },
    0,
  ],
  [
    "Twilio's for JSON, of its libraries' tests",
    "twilio",
    "12345",
    {
      method: "POST",
      url: "/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
      headers: { "content-type": "application/json", "x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4=" },
      body: text('{"property": "value", "boolean": true}'),
    },
    0,
  ],
];

for (const [whose, scheme, secret, request, time] of VECTORS) {
  test(`a published vector is let in: ${whose}`, () => {
    const publicUrl = "https://mycompany.com";
    const proof = { secrets: [secret], now: time ? new Date(time * 1000) : NOW, publicUrl };
    const { verify: verification } = schemes[scheme] as Scheme;
    assert.equal(verify(request, verification, proof), null);
    assert.equal(
      verify({ ...request, body: Buffer.concat([request.body, text("!")]) }, verification, proof),
      "signature wrong",
    );
    if (time) assert.equal(verify(request, verification, { ...proof, now: NOW }), "timestamp too far from now");
  });
}

test("a form in which what is signed stands twice is refused: nobody knows which is meant", () => {
  const mailgun = senders.find(({ name }) => name === "mailgun, a forwarded mail with a file")!;
  const request = send(mailgun);
  assert.equal(judge(mailgun, request), null);
  const text = Buffer.from(request.body).toString("latin1");
  const part = /--[^\r]+\r\nContent-Disposition: form-data; name="timestamp"\r\n\r\n\d+\r\n/.exec(text)![0];
  const body = Buffer.from(text.replace(part, part + part), "latin1");
  assert.notEqual(judge(mailgun, { ...request, body }), null);
});

test("several signatures in one header: one that is right is enough, of the right kind", () => {
  const stripe = senders.find(({ scheme }) => scheme === "stripe")!;
  const good = send(stripe).headers["stripe-signature"]!;
  const bad = send(stripe, undefined, stripe.pens.wrong).headers["stripe-signature"]!;
  const judgeHeader = (value: string) => judge(stripe, withHeaders(send(stripe), { "stripe-signature": value }));
  const [time, right] = good.split(",");
  const [, wrong] = bad.split(",");
  for (const value of [`${time},${wrong},${right}`, `${time},${right},${wrong},v0=abc`, `${right},${time}`])
    assert.equal(judgeHeader(value), null, value);
  for (const value of [
    `${time},${wrong}`,
    `${time},v0=${right!.slice(3)}`,
    `${right}`,
    `${time},${time},${right}`,
    "t=,v1=",
  ])
    assert.notEqual(judgeHeader(value), null, value);
});

test("an id that holds the separator cannot lend the body's beginning to what stands before it", () => {
  const sender = senders.find(({ scheme }) => scheme === "standardWebhooks")!;
  // The body says a time of its own between two points.
  const request = send(sender, Buffer.from(`{"a":"1.${later(86_400).getTime() / 1000}.{}`), undefined, NOW);
  const { "webhook-id": id, "webhook-timestamp": stamp } = request.headers;
  const shifted = withHeaders(
    { ...request, body: Buffer.from("{}") },
    {
      "webhook-id": `${id}.${stamp}.{"a":"1`,
      "webhook-timestamp": String(later(86_400).getTime() / 1000),
    },
  );
  assert.equal(judge(sender, shifted, { now: later(86_400) }), "signature wrong");
});

test("Twilio: a body that its signature does not reach is refused", () => {
  const sender = senders.find(({ name }) => name === "twilio, a form")!;
  const bare = send(sender, Buffer.alloc(0));
  assert.equal(judge(sender, bare), null);
  for (const type of ["application/json", "text/plain", ""])
    assert.equal(
      judge(sender, { ...withHeaders(bare, { "content-type": type }), body: text('{"a":1}') }),
      "signature wrong",
    );
});

test("a token of somebody else, for somebody else, of another time or of another kind is refused", () => {
  const sender = senders.find(({ scheme }) => scheme === "gmail")!;
  const { right } = sender.pens;
  const judgeToken = (token: string, now = NOW) =>
    judge(sender, withHeaders(send(sender), { authorization: `Bearer ${token}` }), { now });
  const claims = (given: object) => judgeToken(makeToken(right, NOW, given));
  assert.equal(claims({ iss: "accounts.google.com" }), null);
  assert.equal(claims({ iss: "https://evil.example" }), "token of somebody else");
  assert.equal(claims({ email: "other@x.example" }), "token of somebody else");
  assert.equal(claims({ email: undefined }), "token of somebody else");
  for (const verified of [false, "true", undefined])
    assert.equal(claims({ email_verified: verified }), "token of somebody else");
  for (const aud of [
    `${PUBLIC_URL}/hooks/other`,
    "https://evil.example/hooks/test",
    undefined,
    [`${PUBLIC_URL}/hooks/test`],
  ])
    assert.equal(claims({ aud }), "token for somebody else");
  assert.equal(claims({ exp: undefined }), "token expired");
  assert.equal(judgeToken(makeToken(right, later(-3700))), "token expired");
  assert.equal(judgeToken(makeToken(right, later(-3650))), null);
  assert.equal(judgeToken(makeToken(right, later(61))), "token of another time");
  assert.equal(judgeToken(makeToken(right, NOW, {}, { kid: "key-2" })), "key unknown");
  for (const head of [{ alg: "none" }, { alg: "HS256" }, { alg: "RS512" }, { kid: undefined }])
    assert.equal(judgeToken(makeToken(right, NOW, {}, head)), "signature wrong");
  const whole = makeToken(right, NOW);
  const [head, body, signature] = whole.split(".");
  for (const odd of [
    `${head}.${body}.`,
    `${head}.${body}`,
    `.${body}.${signature}`,
    `${whole}.x`,
    `${whole}=`,
    "null.null.null",
    "..",
  ])
    assert.equal(judgeToken(odd), "signature wrong", odd);
  assert.equal(judge(sender, withHeaders(send(sender), { authorization: whole })), "signature wrong");
});

test("a key that is no key lets nobody in, and says so", () => {
  for (const [scheme, secret] of [
    ["standardWebhooks", "whsec_!!!"],
    ["standardWebhooks", "whsec_"],
    ["discord", "not hex"],
    ["discord", "abcd"],
    ["standardWebhooksPublic", "whpk_AAAA"],
  ] as const) {
    const sender = senders.find((one) => one.scheme === scheme)!;
    assert.equal(judge(sender, send(sender), { secrets: [secret] }), "secret unusable", secret);
    assert.equal(judge(sender, send(sender), { secrets: [secret, sender.pens.right.verifies] }), null);
  }
});
