import assert from "node:assert/strict";
import { test } from "node:test";
import { adopt, compare, describeDifference, isBack, learn, pathsOf, type Shape } from "./shapes.ts";

const NOTHING: Shape = { seen: 0, paths: {} };
const learned = (...events: unknown[]): Shape =>
  events.reduce<Shape>((shape, event) => learn(shape, pathsOf(event, shape.paths)), NOTHING);
const five = (event: unknown): Shape => learned(event, event, event, event, event);
const told = (shape: Shape, event: unknown) =>
  compare(shape.paths, pathsOf(event, shape.paths)).map(describeDifference);

const ORDER = { id: "1", customer: { email: "a@b.c", age: 3 }, items: [{ price: 2 }, { price: 3 }], paid: true };

test("a path that is gone and a type that is another are told in words; what is new is not", () => {
  const shape = five(ORDER);
  assert.deepEqual(told(shape, ORDER), []);
  assert.deepEqual(told(shape, { ...ORDER, customer: { age: "3", more: 1 }, extra: [] }), [
    "data.customer.email was text, is now missing",
    "data.customer.age was a number, is now text",
  ]);
  assert.deepEqual(told(shape, { ...ORDER, customer: null }), ["data.customer was an object, is now null"]);
  assert.deepEqual(told(shape, { ...ORDER, customer: undefined }), ["data.customer was an object, is now null"]);
  const { customer: _, ...rest } = ORDER;
  assert.deepEqual(told(shape, rest), ["data.customer was an object, is now missing"]);
  assert.deepEqual(told(shape, []), ["data was an object, is now a list"]);
});

test("a list may be longer, shorter and empty; of its items each has the same paths", () => {
  const shape = five(ORDER);
  assert.deepEqual(told(shape, { ...ORDER, items: [] }), []);
  assert.deepEqual(told(shape, { ...ORDER, items: [{ price: 1 }] }), []);
  assert.deepEqual(told(shape, { ...ORDER, items: [{ price: 1 }, {}] }), [
    "data.items[].price was a number, is now missing",
  ]);
});

test("what comes and goes while it is learned may come and go", () => {
  const shape = learned({ a: 1, b: 1, c: null }, { a: "1" }, { a: 1, b: 1 }, { b: 2 }, { a: 1 });
  for (const event of [{}, { a: "x", b: 2, c: null }, { c: 1 }]) assert.deepEqual(told(shape, event), []);
});

test("a path that was always null has no type yet", () => {
  const shape = five({ note: null });
  assert.deepEqual(told(shape, { note: "now there is one" }), []);
  const after = learn(shape, pathsOf({ note: "now there is one" }));
  assert.deepEqual(told(after, { note: null }), []);
  assert.deepEqual(told(after, { note: 7 }), ["data.note was null or text, is now a number"]);
});

test("what is new later is learned, and may be missing", () => {
  const shape = learn(five({ a: 1 }), pathsOf({ a: 1, b: { c: 2 } }));
  assert.deepEqual(told(shape, { a: 1 }), []);
  assert.deepEqual(told(shape, { a: 1, b: 3 }), ["data.b was an object, is now a number"]);
});

test("an object whose keys are ids, days or addresses is a map from the first event on", () => {
  const events = [
    { prices: { cus_N1ffrFeUf: 1, cus_9s6XKzkN: 2 }, days: { "2026-11-22": { n: 1 } }, to: { "a@b.c": true } },
    { prices: { cus_1KzkRiz8: 1 }, days: { "2026-11-23": { n: 1 } }, to: {} },
  ];
  const shape = five(events[0]);
  assert.deepEqual(told(shape, events[1]), []);
  assert.deepEqual(told(shape, { ...events[1], days: { "2026-11-23": { n: "1" } } }), [
    "data.days.*.n was a number, is now text",
  ]);
});

test("an object with ever-new keys is found to be a map, and does not grow", () => {
  const event = (n: number) => ({
    fixed: "x",
    labels: Object.fromEntries(
      [...Array(8)].map((_, at) => [`${"abcdefghij"[n % 10]}${"klmnopqr"[at]}${n}x`, { by: "me" }]),
    ),
  });
  let shape = NOTHING;
  for (let n = 0; n < 200; n++) shape = learn(shape, pathsOf(event(n), shape.paths));
  assert.deepEqual(Object.keys(shape.paths).sort(), [
    "data",
    "data.fixed",
    "data.labels",
    "data.labels.*",
    "data.labels.*.by",
  ]);
  assert.deepEqual(told(shape, { fixed: "x", labels: { quite: { by: "you" } } }), []);
  assert.deepEqual(told(shape, { fixed: "x", labels: { quite: { by: 7 } } }), [
    "data.labels.*.by was text, is now a number",
  ]);
});

test("a large object with the same keys each time is no map", () => {
  const event = Object.fromEntries(
    [...Array(90)].map((_, at) => [`field_${"abcdefghij"[at % 10]}${"abcdefghij"[Math.floor(at / 10)]}`, at]),
  );
  const shape = five(event);
  const { field_aa: _, ...rest } = event;
  assert.deepEqual(told(shape, rest), ["data.field_aa was a number, is now missing"]);
});

test("what an owner accepts is no difference any more, and what comes again comes and goes", () => {
  const shape = five(ORDER);
  const event = { ...ORDER, customer: { age: "3" } };
  const differences = compare(shape.paths, pathsOf(event));
  assert.equal(differences.length, 2);
  const adopted = adopt(shape, differences);
  assert.deepEqual(told(adopted, event), []);
  assert.deepEqual(told(adopted, ORDER), []);
  assert.deepEqual(
    differences.map((difference) => isBack(difference, pathsOf(event))),
    [false, false],
  );
  assert.deepEqual(
    differences.map((difference) => isBack(difference, pathsOf(ORDER))),
    [true, true],
  );
});

test("a payload without end costs no more than another", () => {
  let deep: object = {};
  for (let level = 0; level < 5000; level++) deep = { deep };
  const wide = Object.fromEntries([...Array(20_000)].map((_, at) => [`k${"x".repeat(at % 7)}${at}`, { a: [at] }]));
  const shape = learned({ deep, wide }, { deep, wide }, { deep: 1, wide });
  assert.ok(Object.keys(shape.paths).length <= 500);
});
