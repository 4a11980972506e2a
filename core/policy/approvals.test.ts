import assert from "node:assert/strict";
import test from "node:test";
import { OWNER, STRANGER } from "../define/label.ts";
import { actionDigest, canonicalJson } from "./approvals.ts";

test("equal values are equal text, whatever the order of their keys", () => {
  assert.equal(canonicalJson({ b: [{ d: 1, c: null }], a: "x" }), '{"a":"x","b":[{"c":null,"d":1}]}');
  assert.equal(canonicalJson({ a: 1, b: undefined }), canonicalJson({ a: 1 }));
  assert.equal(canonicalJson([2, 1]), "[2,1]");
  assert.equal(canonicalJson("x"), '"x"');
});

test("another tool, argument or label is another action", () => {
  const action = { tool: "mail", input: { to: "a", text: "b" }, label: OWNER };
  const digest = actionDigest(action);
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.equal(actionDigest({ ...action, input: { text: "b", to: "a" } }), digest);
  assert.notEqual(actionDigest({ ...action, input: { to: "a", text: "c" } }), digest);
  assert.notEqual(actionDigest({ ...action, tool: "post" }), digest);
  assert.notEqual(actionDigest({ ...action, label: STRANGER }), digest);
});
