import assert from "node:assert/strict";
import { test } from "node:test";
import { type Scheme, schemes } from "../define/schemes.ts";
import { secretsOf, type Webhook } from "../define/webhook.ts";
import { checkCapability } from "./rules.ts";
import { parseCapability } from "./shape.ts";

const withWebhook = (webhook: object, secrets: readonly string[] = []) => ({
  name: "shop",
  description: "Sells",
  webhooks: [webhook],
  secrets: secrets.map((name) => ({ name, description: "x" })),
});

test("a webhook of each scheme is let in, and asks for every secret that it speaks of", () => {
  for (const [source, scheme] of Object.entries(schemes) as [string, Scheme][]) {
    const webhook: Webhook = { source: source.toLowerCase(), ...scheme };
    const secrets = secretsOf(webhook);
    checkCapability(parseCapability(withWebhook(webhook, secrets)), new Date());
    for (const left of secrets) {
      const others = secrets.filter((name) => name !== left);
      const refuse = () => checkCapability(parseCapability(withWebhook(webhook, others)), new Date());
      assert.throws(refuse, { code: "capability.secret", message: new RegExp(`its secret ${left} is not`) });
    }
  }
});

const hmac = { scheme: "hmac", algorithm: "sha256", encoding: "hex", header: "x", secret: "S" };
const WRONG: [string, object, RegExp][] = [
  [
    "no place of the signature",
    { verify: { ...hmac, header: undefined } },
    /"verify" must have one of "header", "data", "query"\.$/,
  ],
  ["two places", { verify: { ...hmac, data: "y" } }, /"verify" must have one of "header", "data", "query"\.$/],
  ["an unknown scheme", { verify: { ...hmac, scheme: "md5" } }, /"verify\.scheme" must be \{ scheme: "hmac"/],
  [
    "an unknown algorithm",
    { verify: { ...hmac, algorithm: "md5" } },
    /"verify\.algorithm" must be one of "sha256", "sha1"\.$/,
  ],
  [
    "a time at no place",
    { verify: { ...hmac, timestamp: {} } },
    /"verify\.timestamp" must have one of "header", "data", "query", "field"\.$/,
  ],
  [
    "a tolerance of nothing",
    { verify: { ...hmac, timestamp: { header: "t", toleranceSeconds: 0 } } },
    /must be more than 0\.$/,
  ],
  ["a field that is unknown", { verify: { ...hmac, keys: "x" } }, /"verify" has no field "keys"\.$/],
  [
    "keys at no address",
    { verify: { scheme: "token", header: "a", keys: "x", issuers: [], claim: "e", secret: "S" } },
    /"verify\.keys" must be an address\.$/,
  ],
  ["items that are no list", { items: ["events"] }, /"items\.0" must end in "\[\]"\.$/],
  ["a key at no place", { key: "id" }, /"key" must be \{ header: "…" \}, \{ data: "…" \}, or a list of such\.$/],
  ["a silence of nothing", { expectEvery: "0h" }, /"expectEvery" must be a duration up to a year, like/],
  ["a silence of no length", { expectEvery: "often" }, /"expectEvery" must be a duration up to a year, like/],
  ["a status that is none", { replies: { refused: { status: 99 } } }, /"replies\.refused\.status" must be a status\.$/],
  ["an answer that is none", { replies: 200 }, /^webhook shop: "replies" must be an object\.$/],
  ["a handshake without an answer", { handshakes: [{ when: [] }] }, /"handshakes\.0\.reply" is missing\.$/],
];

for (const [what, fields, message] of WRONG) {
  test(`a webhook with ${what} is refused with a sentence`, () => {
    const webhook = { source: "shop", verify: hmac, type: [], ...fields };
    assert.throws(() => parseCapability(withWebhook(webhook, ["S"])), { code: "capability.shape", message });
  });
}

const WRONG_TRIGGERS: [string, object, RegExp][] = [
  [
    "a delay that is none",
    { debounce: { delay: "soon" } },
    /^trigger file: "debounce\.delay" must be a duration up to a year, like "30s"/,
  ],
  ["no delay", { debounce: { key: "id" } }, /"debounce\.delay" is missing\.$/],
  ["a delay of nothing", { debounce: { delay: "0s" } }, /"debounce\.delay" must be a duration/],
  [
    "a `most` below its delay",
    { debounce: { delay: "1m", most: "30s" } },
    /"debounce\.most" must not be shorter than "delay"\.$/,
  ],
  [
    "a path that is none",
    { debounce: { delay: "1s", key: "issue..id" } },
    /"debounce\.key" must be a dotted path, like "issue\.id"\.$/,
  ],
  ["a rate without a time", { rate: { limit: 1 } }, /"rate\.per" is missing\.$/],
  ["a rate of nothing", { rate: { limit: 0, per: "1m" } }, /"rate\.limit" must be more than 0\.$/],
  ["a rate that is no whole number", { rate: { limit: 1.5, per: "1m" } }, /"rate\.limit" must be a whole number\.$/],
  ["a rate above what is counted", { rate: { limit: 10_001, per: "1m" } }, /"rate\.limit" must be at most 10000\.$/],
  ["a rate in years", { rate: { limit: 1, per: "400d" } }, /"rate\.per" must be a duration up to a year/],
  [
    "a concurrency with an empty path",
    { concurrency: { limit: 1, key: "" } },
    /"concurrency\.key" must not be empty\./,
  ],
  ["a priority beyond all others", { priority: 1001 }, /"priority" must be a whole number from -1000 to 1000\.$/],
  [
    "a condition of no kind",
    { on: { source: "shop", where: { a: {} } } },
    /"on\.where\.a" is of no kind that is known\.$/,
  ],
];

for (const [what, fields, message] of WRONG_TRIGGERS) {
  test(`a trigger with ${what} is refused with a sentence`, () => {
    const trigger = { name: "file", on: { source: "shop" }, run: async () => null, ...fields };
    const capability = { name: "shop", description: "Sells", triggers: [trigger] };
    assert.throws(() => parseCapability(capability), { code: "capability.shape", message });
  });
}

test("what is no object at all is said so", () => {
  const parts = { name: "shop", description: "Sells" };
  for (const value of [null, "text", () => parts]) {
    assert.throws(() => parseCapability(value), {
      code: "capability.shape",
      message: "capability: it must be an object.",
    });
  }
  assert.throws(() => parseCapability({ ...parts, tools: [1] }), { message: "tool number 1: it must be an object." });
});

test("a trigger may say all of it at once", () => {
  const trigger = {
    ...{ name: "file", on: { source: "shop" }, run: async () => null, concurrency: { key: "a.b", limit: 2 } },
    ...{ debounce: { key: "a.b", delay: "30s", most: "5m" }, rate: { limit: 10, per: "1m", key: "a" } },
  };
  parseCapability({ name: "shop", description: "Sells", triggers: [trigger] });
});

test("a sender that does not send again what it was refused may have no rate", () => {
  const rate = { limit: 100, per: "1s" };
  const check = (scheme: Scheme) => {
    const webhook: Webhook = { source: "shop", ...scheme, rate };
    checkCapability(parseCapability(withWebhook(webhook, secretsOf(webhook))), new Date());
  };
  check(schemes.stripe);
  const message = /^webhook shop: its sender does not send again what it was refused/;
  for (const name of ["github", "twilio", "calcom", "discord"] as const) {
    assert.throws(() => check(schemes[name]), { code: "capability.rate", message });
  }
});
