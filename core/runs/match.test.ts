import assert from "node:assert/strict";
import { test } from "node:test";
import { at, containment, likePatterns, matchesType, matchesWhere } from "./match.ts";

test("a dotted path finds a value in parsed JSON, and nothing that is only inherited", () => {
  const data = { issue: { labels: [{ name: "bug" }], number: 5 }, none: null };
  assert.equal(at(data, "issue.number"), 5);
  assert.equal(at(data, "issue.labels.0.name"), "bug");
  assert.equal(at(data, "issue.number.deep"), undefined);
  assert.equal(at(data, "none.deep"), undefined);
  assert.equal(at(data, "constructor"), undefined);
  assert.equal(at("text", "length"), undefined);
});

test("a type is matched whole, by what it begins with, or by any", () => {
  assert.equal(matchesType("issues.opened", "issues.opened"), true);
  assert.equal(matchesType("issues.opened", "issues.openedx"), false);
  assert.equal(matchesType("issues.*", "issues.closed"), true);
  assert.equal(matchesType("issues.*", "issue"), false);
  assert.equal(matchesType(["push", "star.created"], "star.created"), true);
  assert.equal(matchesType("*", "anything"), true);
  assert.equal(matchesType(undefined, "anything"), true);
});

test("the patterns of LIKE mean the same, whatever signs a type has", () => {
  assert.deepEqual(likePatterns(["a_b%c\\", "issues.*", "*"]), ["a\\_b\\%c\\\\", "issues.%", "%"]);
});

test("where asks for a value, or one of several, at each path", () => {
  const data = { action: "opened", repository: { private: false } };
  assert.equal(matchesWhere(undefined, data), true);
  assert.equal(matchesWhere({ action: "opened", "repository.private": false }, data), true);
  assert.equal(matchesWhere({ action: ["edited", "opened"] }, data), true);
  assert.equal(matchesWhere({ action: ["edited"] }, data), false);
  assert.equal(matchesWhere({ "repository.private": "false" }, data), false);
  assert.equal(matchesWhere({ missing: null }, data), false);
});

test("what the data must contain is a nested object; lists of values are left out", () => {
  assert.deepEqual(containment({ "a.b": 1, "a.c": "x", d: [1, 2], e: null }), {
    a: { b: 1, c: "x" },
    e: null,
  });
  assert.deepEqual(containment(undefined), {});
});
