import assert from "node:assert/strict";
import { test } from "node:test";
import { findJsonProblem } from "./json-problem.ts";

test("what is JSON has no problem, and what is none has one, as JSON.parse has it", () => {
  const good = ["{}", "[]", '{"a": [1, -0.5e+3, true, null, "\\u00e9\\n"], "b": {}}', ' "x" ', "0"];
  const bad = [
    "",
    "{",
    "[1,]",
    '{"a" 1}',
    "{a: 1}",
    "01",
    "1 2",
    '"a',
    '"a\nb"',
    "'a'",
    "tru",
    '{"a":}',
    '"\\x"',
    '["\t"]',
    "+1",
  ];
  for (const text of good) assert.equal(findJsonProblem(text), null, text);
  for (const text of bad) {
    assert.throws(() => JSON.parse(text), text);
    assert.notEqual(findJsonProblem(text), null, text);
  }
});

test("a problem says its line, its column and what is wrong", () => {
  const told = (text: string) => {
    const { line, column, message } = findJsonProblem(text)!;
    return `${line}:${column} ${message}`;
  };
  assert.equal(told('{\n  "a": 1\n  "b": 2\n}'), "3:3 a comma or } is missing here");
  assert.equal(told('{\n  "a": 1,\n}'), "2:9 no comma may stand before }");
  assert.equal(told('{"a": jane}'), "1:7 jane is no value: text stands in double quotes");
  assert.equal(told('{\n"a": "x\n}'), "2:8 the text does not end on its line");
  assert.equal(told("[1] 2"), "1:5 nothing may stand behind the end");
});

test("any cut through a document is told where it ends", () => {
  const whole = JSON.stringify({ a: [1, { b: "c" }], d: "e" });
  for (let end = 1; end < whole.length; end++)
    assert.equal(findJsonProblem(whole.slice(0, end))!.at, end, whole.slice(0, end));
});
