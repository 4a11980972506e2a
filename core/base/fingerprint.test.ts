import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { toFailure } from "./errors.ts";
import { fingerprintOf, framesOf, skeletonOf } from "./fingerprint.ts";

const thrown = (message: string, at?: string) => ({ code: "handler.threw", message, ...(at ? { at: [at] } : {}) });
const printOf = (message: string, at?: string) => fingerprintOf(thrown(message, at)).fingerprint;

/** In each row the same trouble of different customers, hours and machines. */
const SAME: readonly (readonly string[])[] = [
  ["Error: No plan for jane@example.com", "Error: No plan for o.brien+test@mail.example.co.uk"],
  ['Error: No plan for "Jane Doe"', 'Error: No plan for "Bob"', 'Error: No plan for "He said \\"no\\""'],
  ["Error: No plan for 'jane'", "Error: No plan for 'bob smith'"],
  ["Error: There is no customer cus_NffrFeUfNV2Hib", "Error: There is no customer cus_9s6XKzkNRiz8i3"],
  ["Error: There is no customer cus_NffrFeUf", "Error: There is no customer cus_KkZqTrAb"],
  ["Error: Order 1001 is paid twice", "Error: Order 20417 is paid twice"],
  ["Error: Order #1001 is 12.50 short", "Error: Order #7 is 1,200.99 short"],
  ["Error: timeout of 5000ms exceeded", "Error: timeout of 30000ms exceeded"],
  [
    "Error: 550e8400-e29b-41d4-a716-446655440000 is gone",
    "Error: 6ba7b810-9dad-11d1-80b4-00c04fd430c8 is gone",
    "Error: 6ba7b8109dad11d180b400c04fd430c8 is gone",
  ],
  ["Error: not before 2026-11-22T09:15:00.123Z", "Error: not before 2027-01-02T23:59:59Z"],
  ["Error: connect ECONNREFUSED 10.0.0.7:5432", "Error: connect ECONNREFUSED 192.168.1.20:5433"],
  [
    "TypeError: fetch failed: https://api.stripe.com/v1/customers/cus_1?expand=plan",
    "TypeError: fetch failed: https://api.stripe.com/v1/invoices/in_2",
  ],
  ["Error: bad hash 9f86d081884c7d659a2feaa0c55ad015", "Error: bad hash e3b0c44298fc1c149afbf4c8996fb924"],
  [
    "Error: bad token dGhpcyBpcyBhIHRlc3Qgd2l0aG91dCBkaWdpdHM",
    "Error: bad token YW5vdGhlciBvbmUgb2YgdGhlIHNhbWUga2luZA",
  ],
  ["Error: the rows [1, 2, 3] are locked", "Error: the rows [7] are locked"],
  ["Error: run_01kan4q0v6h9x2w3e4r5t6y7u8 is late", "Error: run_01kan4q0v6aaaaaaaaaaaaaaa1 is late"],
  ["Error: two\n  lines", "Error: two lines"],
  [
    "SyntaxError: Unexpected token 'a', \"abc\" is not valid JSON",
    "SyntaxError: Unexpected token 'x', \"x{\" is not valid JSON",
  ],
];

/** In each row two bugs. */
const DIFFERENT: readonly (readonly [string, string])[] = [
  ["Error: No plan for jane@example.com", "Error: No address for jane@example.com"],
  [
    "TypeError: Cannot read properties of undefined (reading 'plan')",
    "TypeError: Cannot read properties of undefined (reading 'email')",
  ],
  ["Error: Stripe answered 404", "Error: Stripe answered 500"],
  ["Error: status code 401: go away", "Error: status code 429: go away"],
  ["Error: https://api.stripe.com/v1 failed", "Error: https://api.github.com/v1 failed"],
  ['Error: {"plan": "pro"} is wrong', 'Error: {"price": "pro"} is wrong'],
  ["TypeError: it failed", "RangeError: it failed"],
];

test("failures that differ in ids, names, numbers and times alone are one issue", () => {
  for (const row of SAME) {
    for (const other of row.slice(1)) assert.equal(skeletonOf(other), skeletonOf(row[0]!));
    assert.equal(new Set(row.map((message) => printOf(message))).size, 1, row[0]);
  }
});

test("two bugs of one handler are two issues", () => {
  for (const [one, other] of DIFFERENT) assert.notEqual(printOf(one), printOf(other), one);
});

test("the same words under two codes, or from two functions, are two issues; a line that moved is not", () => {
  const words = "The far side is away.";
  const code = (code: string) => fingerprintOf({ code, message: words }).fingerprint;
  assert.notEqual(code("stripe.away"), code("github.away"));
  assert.notEqual(printOf(words, "planOf (billing/plan.ts:4:9)"), printOf(words, "priceOf (billing/plan.ts:4:9)"));
  assert.notEqual(printOf(words, "billing/plan.ts:4:9"), printOf(words, "billing/price.ts:4:9"));
  assert.equal(printOf(words, "planOf (billing/plan.ts:4:9)"), printOf(words, "planOf (billing/plan.ts:61:3)"));
});

test("what a schema refused is told by its fields", () => {
  const order = z.object({
    customer: z.object({ email: z.string() }),
    items: z.array(z.object({ price: z.number() })),
  });
  const refuse = (data: unknown) => {
    try {
      order.parse(data);
      throw new Error("it fits");
    } catch (error) {
      return fingerprintOf(toFailure(error));
    }
  };
  const mail = refuse({ customer: {}, items: [] });
  assert.equal(mail.title, "customer.email: Invalid input: expected string, received undefined");
  const price = (items: object[]) => refuse({ customer: { email: "a@b.c" }, items });
  assert.notEqual(mail.fingerprint, price([{}]).fingerprint);
  assert.equal(price([{}]).fingerprint, price([{ price: 1 }, {}, {}]).fingerprint);
});

test("the title is the message in words, and not too long", () => {
  assert.equal(fingerprintOf(thrown("Error: No plan for jane@example.com")).title, "No plan for …");
  assert.equal(fingerprintOf(thrown(`Error: ${"long ".repeat(100)}`)).title.length, 161);
});

test("a message made to be slow is not", () => {
  const began = performance.now();
  for (const piece of ["a@", '"', "'", "http://", "1-", "a_", "…,", "status "]) skeletonOf(piece.repeat(100_000));
  assert.ok(performance.now() - began < 5000);
});

test("of a stack the frames of the capability's own code are kept, innermost first", () => {
  const error = new Error("no plan");
  error.stack = `Error: no plan
    at node:internal/process/task_queues:95:5
    at parse (/home/ada/daimon/capabilities/billing/node_modules/zod/index.js:1:2)
    at planOf (file:///home/ada/daimon/capabilities/billing/lib/plan.ts:41:9)
    at async Object.run (file:///home/ada/daimon/capabilities/billing/index.ts:12:5)
    at async file:///home/ada/daimon/capabilities/billing/index.ts:9:1
    at async carry (file:///home/ada/daimon/core/runs/execute.ts:101:3)
    at async Promise.all (index 0)`;
  assert.deepEqual(framesOf(error, "trigger:billing/plan", "/home/ada/daimon/core/"), [
    "planOf (billing/lib/plan.ts:41:9)",
    "Object.run (billing/index.ts:12:5)",
    "billing/index.ts:9:1",
  ]);
  assert.deepEqual(framesOf(error, "agent:default", "/home/ada/daimon/core/")[0], "planOf (lib/plan.ts:41:9)");
  assert.deepEqual(framesOf("a word", "trigger:billing/plan"), []);
  assert.deepEqual(framesOf(new Error("thrown by core"), "trigger:billing/plan"), []);
});
