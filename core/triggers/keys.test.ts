import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createKeyCache } from "./keys.ts";

const rsa = (bits: number) => generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ format: "jwk" });
const JWK = rsa(2048);

/** A server of keys, and a clock that the test sets. */
async function testKeys(t: TestContext) {
  let answer: (response: ServerResponse) => void = () => {};
  let count = 0;
  const server = createServer((_, response) => {
    count++;
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  let now = Date.parse("2026-11-22T12:00:00Z");
  const cache = createKeyCache(() => new Date(now));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/certs`;
  return {
    url,
    cache,
    count: () => count,
    wait: (seconds: number) => {
      now += seconds * 1000;
    },
    serve: (keys: unknown, age = "max-age=3600") => {
      answer = (response) => response.setHeader("cache-control", `public, ${age}`).end(JSON.stringify({ keys }));
    },
    say: (status: number, text: string) => {
      answer = (response) => response.writeHead(status, { location: "/other" }).end(text);
    },
    ids: async () => [...(await cache.refresh(url)).keys()],
  };
}

test("keys are fetched once, by however many, and kept as long as they say", async (t) => {
  const { cache, url, serve, wait, count, ids } = await testKeys(t);
  serve([{ ...JWK, kid: "1" }]);
  assert.equal(cache.peek(url), undefined);
  const all = await Promise.all([ids(), ids(), ids()]);
  assert.deepEqual(all, [["1"], ["1"], ["1"]]);
  assert.equal(count(), 1);
  wait(3599);
  assert.deepEqual([...cache.peek(url)!.keys()], ["1"]);
  wait(2);
  assert.equal(cache.peek(url), undefined);
});

test("who shows unknown keys makes us ask once a minute and no more", async (t) => {
  const { serve, wait, count, ids } = await testKeys(t);
  serve([{ ...JWK, kid: "1" }]);
  await ids();
  serve([{ ...JWK, kid: "2" }]);
  for (let time = 0; time < 50; time++) assert.deepEqual(await ids(), ["1"]);
  assert.equal(count(), 1);
  wait(61);
  assert.deepEqual(await ids(), ["2"]);
});

test("while they cannot be had those known are good for a day, and without any it is an error", async (t) => {
  const { serve, say, wait, ids, count } = await testKeys(t);
  say(500, "");
  await assert.rejects(ids(), /answers 500/);
  await assert.rejects(ids(), /answers 500/);
  assert.equal(count(), 1, "not asked again at once");
  serve([{ ...JWK, kid: "1" }], "max-age=1");
  wait(6);
  await ids();
  for (const [status, text] of [
    [404, ""],
    [302, ""],
    [200, "no JSON"],
    [200, "{}"],
    [200, "x".repeat(200_000)],
  ] as const) {
    say(status, text);
    wait(600);
    assert.deepEqual(await ids(), ["1"]);
  }
  wait(86_400);
  await assert.rejects(ids());
});

test("keys of another kind, without a name, or that could be guessed are none", async (t) => {
  const { serve, ids } = await testKeys(t);
  const weak = { ...rsa(1024), kid: "weak" };
  serve([
    { kty: "oct", k: "AAAA", kid: "oct" },
    JWK,
    { ...JWK, kid: "other", alg: "RS512" },
    weak,
    { ...JWK, kid: "good" },
  ]);
  assert.deepEqual(await ids(), ["good"]);
});
