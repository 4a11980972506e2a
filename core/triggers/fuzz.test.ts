import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { RawRequest } from "../define/event.ts";
import { type Scheme, schemes } from "../define/schemes.ts";
import { createChance } from "../test/chance.ts";
import { PUBLIC_URL, type Sender, senders } from "../test/senders.ts";
import { parseBody } from "./body.ts";
import { toEvents } from "./event.ts";
import { verify } from "./verify.ts";

/** How many mutated requests, and DAIMON_FUZZ_SEED for the same ones again. They end early after SECONDS. */
const COUNT = Number(process.env.DAIMON_FUZZ ?? 100_000);
const SEED = Number(process.env.DAIMON_FUZZ_SEED ?? Date.now() % 2 ** 31);
const SECONDS = 25;
const NOW = new Date("2026-11-22T12:00:00Z");

function createChoices(seed: number) {
  const next = createChance(seed);
  const below = (most: number) => Math.floor(next() * most);
  return { below, pick: <Value>(values: readonly Value[]) => values[below(values.length)]! };
}
type Choices = ReturnType<typeof createChoices>;

interface Case {
  readonly sender: Sender;
  readonly requests: readonly RawRequest[];
}

/** Right ones with other bodies and other times, and wrong ones: mutations are bred from all of them. */
const cases: readonly Case[] = senders.map((sender) => ({
  sender,
  requests: [0, -200, 86_400].flatMap((seconds) =>
    ["a", "bcd", "é"].map((mark) =>
      sender.post(sender.body(mark), sender.pens.right, new Date(NOW.getTime() + seconds * 1000)),
    ),
  ),
}));

const ODD = [
  ...[
    "",
    " ",
    "\0",
    "0",
    "-1",
    "NaN",
    "null",
    "{}",
    "[]",
    "%",
    "%00",
    "=",
    ",",
    ";",
    ".",
    "..",
    "v1=",
    "t=,v1=",
    "é",
    "\ud800",
  ],
  ...[
    "__proto__",
    "constructor",
    "99999999999999999999",
    "1e9",
    "Infinity",
    "A".repeat(5000),
    "sha256=",
    "Basic ",
    "Bearer ",
  ],
  ...[
    "&payload={",
    "--",
    "\r\n\r\n",
    "<a><a>",
    "]]>",
    "<!DOCTYPE a>",
    "&#xffffff;",
    '{"__proto__":{"a":1}}',
    "[".repeat(3000),
  ],
];
const TYPES = [
  ...["application/json", "application/x-www-form-urlencoded", "application/xml", "text/plain", ""],
  ...["multipart/form-data; boundary=x", "multipart/form-data", "application/json; charset=utf-16"],
];

function mutate(one: RawRequest, other: RawRequest, chance: Choices): RawRequest {
  const names = Object.keys(one.headers);
  const name = chance.pick(names);
  const value = one.headers[name] ?? "";
  const set = (changed: string | undefined): RawRequest => {
    const headers: Record<string, string> = { ...one.headers };
    if (changed === undefined) delete headers[name];
    else headers[name] = changed;
    return { ...one, headers };
  };
  const body = Buffer.from(one.body);
  const at = chance.below(body.length + 1);
  switch (chance.below(22)) {
    case 0:
      return set(undefined);
    case 1:
      return set(chance.pick(ODD));
    case 2:
      return set(`${value}${chance.pick([", ", ",", " ", ""])}${chance.pick([value, ...ODD])}`);
    case 3:
      return set(splice(value, chance));
    case 4:
      return set(
        chance.pick([
          value.toUpperCase(),
          value.toLowerCase(),
          ` ${value}`,
          value.slice(0, chance.below(value.length)),
        ]),
      );
    case 5:
      return set(other.headers[name]);
    case 6:
      return { ...one, headers: other.headers };
    case 7:
      return { ...one, body: other.body };
    case 8:
      return {
        ...one,
        url: chance.pick([other.url, `${one.url}&x=1`, splice(one.url, chance), `/${one.url}`, chance.pick(ODD)]),
      };
    case 9:
      return { ...one, headers: { ...one.headers, "content-type": chance.pick(TYPES) } };
    case 10:
      return { ...one, method: chance.pick(["GET", "PUT", "post", ""]) };
    case 11:
      return { ...one, body: body.subarray(0, at) };
    case 12:
      return { ...one, body: Buffer.concat([body.subarray(0, at), Buffer.from(chance.pick(ODD)), body.subarray(at)]) };
    case 13:
      return { ...one, body: Buffer.concat([body, Buffer.from(chance.pick(ODD))]) };
    case 14:
      return { ...one, body: Buffer.from(splice(body.toString("latin1"), chance), "latin1") };
    case 15:
      return { ...one, body: Buffer.concat([body.subarray(0, at), Buffer.from(other.body).subarray(at)]) };
    case 16:
      // The border between a header and the body is moved.
      return { ...set(value + body.subarray(0, at).toString("latin1")), body: body.subarray(at) };
    case 17:
      return { ...set(value.slice(0, -1)), body: Buffer.concat([Buffer.from(value.slice(-1)), body]) };
    case 18:
      return { ...one, url: one.url + body.subarray(0, at).toString("latin1"), body: body.subarray(at) };
    case 19: {
      const border = chance.below(one.url.length + 1);
      return { ...one, url: one.url.slice(0, border), body: Buffer.concat([Buffer.from(one.url.slice(border)), body]) };
    }
    default: {
      const copy = Buffer.from(body);
      if (copy.length > 0) copy[chance.below(copy.length)]! ^= 1 << chance.below(8);
      return { ...one, body: copy };
    }
  }
}

/** One character taken out, put in, doubled or changed. */
function splice(text: string, chance: Choices): string {
  const at = chance.below(text.length + 1);
  const fresh = String.fromCharCode(chance.below(256));
  const put = chance.pick(["", fresh, fresh + (text[at] ?? ""), (text[at] ?? "").repeat(2), String(chance.below(10))]);
  return text.slice(0, at) + put + text.slice(at + 1);
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes that are held, garbage left out. */
function held(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test(`${COUNT} mutated requests of every scheme: no crash, none let in for what its sender did not sign, memory flat (seed ${SEED})`, () => {
  const chance = createChoices(SEED);
  const began = performance.now();
  const counts = { "let in": 0 } as Record<string, number>;
  const schemesSeen = new Map<string, number>();
  const memory: number[] = [];
  let round = 0;
  for (; round < COUNT && performance.now() - began < SECONDS * 1000; round++) {
    const { sender, requests } = cases[round % cases.length]!;
    const stranger = chance.pick(cases).requests;
    let request = chance.pick(requests);
    for (let times = 1 + chance.below(3); times > 0; times--)
      request = mutate(request, chance.pick(chance.below(4) ? requests : stranger), chance);
    const scheme: Scheme = schemes[sender.scheme];
    const body = parseBody(request);
    const secrets = [sender.pens.before.verifies, sender.pens.right.verifies];
    const proof = { secrets, now: NOW, publicUrl: PUBLIC_URL, keys: sender.keys, data: () => body.parsed };
    const refused = verify(request, scheme.verify, proof);
    const brought = toEvents({ source: "test", ...scheme }, request, body);
    for (const event of "events" in brought ? brought.events : [brought.event])
      assert.ok(event.key && event.type, JSON.stringify(event));
    const outcome = refused ?? "let in";
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    schemesSeen.set(sender.scheme, (schemesSeen.get(sender.scheme) ?? 0) + 1);
    if (refused === null) assertSigned(sender, request, `seed ${SEED}, round ${round}`);
    // The first tenth is left out: until then code is compiled.
    if (round % Math.ceil(COUNT / 10) === 0 && round > 0) memory.push(held());
  }
  memory.push(held());
  const grown = (memory.at(-1)! - memory[0]!) / 2 ** 20;
  const each = [...schemesSeen.values()];
  console.log(
    `${round} requests of ${schemesSeen.size} schemes (${Math.min(...each)} to ${Math.max(...each)} of each)`,
  );
  console.log(
    Object.entries(counts)
      .map(([outcome, count]) => `${outcome}: ${count}`)
      .join(", "),
  );
  console.log(`${grown.toFixed(1)} MiB more held after the last than after the first tenth`);
  assert.deepEqual([...schemesSeen.keys()].sort(), Object.keys(schemes).sort(), "every scheme of the table");
  assert.ok(counts["let in"]! > 0, "mutations that change nothing that is signed are let in");
  assert.ok(grown < 4, `${grown.toFixed(1)} MiB more`);
});

/** Fails unless the sender has signed exactly this, at a time that is not far from now. */
function assertSigned(sender: Sender, request: RawRequest, what: string): void {
  const signed = cases
    .filter((one) => one.sender.scheme === sender.scheme)
    .flatMap((one) => {
      const content = one.sender.covered(request);
      return one.requests.flatMap((right, place) => (one.sender.covered(right) === content ? place : []));
    });
  const message = () => `${what}, ${sender.name}: ${show(request)}`;
  if (signed.length === 0) assert.fail(`let in, though it was never signed: ${message()}`);
  // The last three of the requests are of tomorrow.
  if (sender.window && signed.every((place) => place >= 6))
    assert.fail(`let in, though it is of tomorrow: ${message()}`);
}

const show = ({ method, url, headers, body }: RawRequest) =>
  JSON.stringify({ method, url, headers, body: Buffer.from(body).toString("base64") });
