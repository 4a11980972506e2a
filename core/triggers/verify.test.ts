import assert from "node:assert/strict";
import { test } from "node:test";
import type { RawRequest } from "../define/event.ts";
import type { HmacVerification, Verification } from "../define/webhook.ts";
import { signRequest } from "./sign.ts";
import { verify } from "./verify.ts";

const NOW = new Date("2026-11-22T12:00:00Z");

const github: HmacVerification = {
  scheme: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  header: "X-Hub-Signature-256",
  prefix: "sha256=",
  secret: "GITHUB_WEBHOOK_SECRET",
};
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
const SECRET = "It's a Secret to Everybody";
const SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

const request = (body: string | Uint8Array, headers: Record<string, string> = {}): RawRequest => ({
  method: "POST",
  url: "/hooks/test",
  headers,
  body: Buffer.from(body as string),
});
const signed = (body: string | Uint8Array, signature: string) => request(body, { "x-hub-signature-256": signature });
const judge = (given: RawRequest, secrets: readonly string[] = [SECRET], by: Verification = github) =>
  verify(given, by, { secrets, now: NOW });
/** The headers that our own signer puts on it. */
const signedHeaders = (given: RawRequest, by: Verification = github, now = NOW, secret = SECRET) =>
  signRequest(given, by, { secret, now, publicUrl: "https://daimon.example" }).headers as Record<string, string>;

test("GitHub's own test vector is let in", () => {
  assert.equal(judge(signed("Hello, World!", SIGNATURE)), null);
});

test("another secret, another body, another signature are not", () => {
  assert.equal(judge(signed("Hello, World!", SIGNATURE), ["it's a secret to everybody"]), "signature wrong");
  assert.equal(judge(signed("Hello, World?", SIGNATURE)), "signature wrong");
  assert.equal(judge(signed("Hello, World!\n", SIGNATURE)), "signature wrong");
  for (let place = 0; place < SIGNATURE.length; place++) {
    const wrong = SIGNATURE.slice(0, place) + (SIGNATURE[place] === "0" ? "1" : "0") + SIGNATURE.slice(place + 1);
    assert.equal(judge(signed("Hello, World!", wrong)), "signature wrong", wrong);
  }
});

test("a signature that is missing, empty, cut, longer or without its prefix is not let in", () => {
  assert.equal(judge(request("Hello, World!")), "signature missing");
  assert.equal(judge(signed("Hello, World!", "")), "signature missing");
  for (const wrong of ["sha256=", SIGNATURE.slice(0, -1), `${SIGNATURE}0`, SIGNATURE.slice(7), ` ${SIGNATURE}`, "é"])
    assert.equal(judge(signed("Hello, World!", wrong)), "signature wrong", wrong);
});

test("the same JSON in other bytes is another body", () => {
  const body = '{"a": 1.0, "b":"\\u00e9"}';
  const signature = signedHeaders(request(body))["x-hub-signature-256"]!;
  assert.equal(judge(signed(body, signature)), null);
  assert.equal(judge(signed(JSON.stringify(JSON.parse(body)), signature)), "signature wrong");
  assert.equal(judge(signed('{"a": 1.0, "b":"é"}', signature)), "signature wrong");
});

test("bytes that are no UTF-8, and no bytes at all, are signed like any others", () => {
  for (const body of [Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x22]), Buffer.alloc(0)]) {
    const { "x-hub-signature-256": signature } = signedHeaders(request(body));
    assert.equal(judge(signed(body, signature!)), null);
  }
  const [one, other] = [Buffer.from([0xff]), Buffer.from([0xfe])];
  const { "x-hub-signature-256": signature } = signedHeaders(request(one));
  assert.equal(judge(signed(other, signature!)), "signature wrong", "both would decode to U+FFFD");
});

test("while a secret is rotated, the new one and the one before are let in, and no other", () => {
  assert.equal(judge(signed("Hello, World!", SIGNATURE), ["the new one", SECRET]), null);
  assert.equal(judge(signed("Hello, World!", SIGNATURE), [SECRET, "the one before"]), null);
  assert.equal(judge(signed("Hello, World!", SIGNATURE), ["the new one", "the one before"]), "signature wrong");
  assert.equal(judge(signed("Hello, World!", SIGNATURE), []), "secret unusable");
});

test("a signature header that came twice is refused, whichever of the two is right", () => {
  // As node:http joins them.
  assert.equal(judge(signed("Hello, World!", `${SIGNATURE}, ${SIGNATURE}`)), "signature wrong");
  assert.equal(judge(signed("Hello, World!", `${SIGNATURE}, sha256=0`)), "signature wrong");
});

test("a timestamp that is signed along must be there, and near to now on either side", () => {
  const slack: HmacVerification = {
    ...github,
    ...{ header: "x-slack-signature", prefix: "v0=", signed: "v0:{header:x-slack-request-timestamp}:{body}" },
    timestamp: { header: "X-Slack-Request-Timestamp", toleranceSeconds: 300 },
  };
  const at = (seconds: number) => {
    const body = request("token=x");
    return { ...body, headers: signedHeaders(body, slack, new Date(NOW.getTime() + seconds * 1000)) };
  };
  const verdict = (given: RawRequest) => judge(given, [SECRET], slack);
  for (const seconds of [0, 300, -300]) assert.equal(verdict(at(seconds)), null, `${seconds}`);
  for (const seconds of [301, -301, 86_400]) assert.equal(verdict(at(seconds)), "timestamp too far from now");
  const { "x-slack-request-timestamp": stamp, ...rest } = at(0).headers;
  assert.equal(verdict({ ...at(0), headers: rest }), "timestamp missing");
  for (const odd of ["", "now", "1e9", `-${stamp}`, `${stamp}.0`, ` ${stamp}`, "9".repeat(13)])
    assert.equal(verdict({ ...at(0), headers: { ...rest, "x-slack-request-timestamp": odd } }), "timestamp missing");
  const later = String(Number(stamp) + 1);
  assert.equal(
    verdict({ ...at(0), headers: { ...rest, "x-slack-request-timestamp": later } }),
    "signature wrong",
    "an old body under a new time",
  );
});

test("sha1 and base64 are spoken too", () => {
  for (const algorithm of ["sha1", "sha256"] as const) {
    for (const encoding of ["hex", "base64"] as const) {
      const by: HmacVerification = { ...github, algorithm, encoding };
      const { "x-hub-signature-256": signature } = signedHeaders(request("x"), by);
      assert.equal(judge(signed("x", signature!), [SECRET], by), null);
      assert.equal(judge(signed("y", signature!), [SECRET], by), "signature wrong");
    }
  }
});

test("a repeated secret is compared whole", () => {
  const by: Verification = { scheme: "equality", header: "X-Token", prefix: "Bearer ", secret: "TOKEN" };
  const with_ = (token: string) => judge(request("x", { "x-token": token }), ["new", "old"], by);
  assert.deepEqual(["Bearer new", "Bearer old"].map(with_), [null, null]);
  for (const wrong of ["new", "Bearer ne", "Bearer newer", "Bearer ", "Bearer new, old", "bearer new"])
    assert.equal(with_(wrong), "signature wrong", wrong);
  assert.equal(judge(request("x"), ["new"], by), "signature missing");
  assert.deepEqual(signedHeaders(request("x"), by, NOW, "new"), { "x-token": "Bearer new" });
});
