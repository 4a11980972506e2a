import assert from "node:assert/strict";
import { test } from "node:test";
import { createBatch } from "./batch.ts";

/** A flush that ends when it is told to, and what it was given. */
function heldFlush() {
  const flushes: { items: number[]; end: () => void }[] = [];
  const flush = (items: number[]) =>
    new Promise<string[]>((resolve) => {
      flushes.push({ items, end: () => resolve(items.map((item) => `#${item}`)) });
    });
  return { flushes, flush };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what arrives during a flush is one flush after it, and each caller has its own outcome", async () => {
  const { flushes, flush } = heldFlush();
  const keep = createBatch(flush, { most: 100, lanes: 1 });
  const first = keep(1);
  await turn();
  const rest = [keep(2), keep(3)];
  await turn();
  assert.deepEqual(
    flushes.map(({ items }) => items),
    [[1]],
  );
  flushes[0]!.end();
  assert.equal(await first, "#1");
  await turn();
  assert.deepEqual(flushes[1]!.items, [2, 3]);
  flushes[1]!.end();
  assert.deepEqual(await Promise.all(rest), ["#2", "#3"]);
});

test("a flush begins beside another only with enough items, and many are shared out evenly", async () => {
  const { flushes, flush } = heldFlush();
  const keep = createBatch(flush, { most: 100, lanes: 2, beside: 4 });
  const all = [keep(0)];
  await turn();
  all.push(...[1, 2, 3].map(keep));
  await turn();
  assert.equal(flushes.length, 1, "three wait");
  all.push(keep(4));
  await turn();
  assert.deepEqual(flushes[1]!.items, [1, 2, 3, 4]);
  for (const { end } of flushes.splice(0)) end();
  await Promise.all(all);
  all.push(...[5, 6, 7, 8, 9, 10, 11, 12, 13, 14].map(keep));
  await turn();
  assert.deepEqual(
    flushes.map(({ items }) => items.length),
    [5, 5],
  );
  for (const { end } of flushes) end();
  assert.equal((await Promise.all(all)).length, 15);
});

test("one bad item of a flush fails alone", async () => {
  const given: number[][] = [];
  const keep = createBatch(
    async (items: number[]) => {
      given.push(items);
      if (items.includes(3)) throw new Error("bad");
      return items;
    },
    { most: 100, lanes: 1 },
  );
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(keep));
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : "failed")),
    [1, 2, "failed", 4],
  );
  assert.deepEqual(given, [[1, 2, 3, 4], [1, 2], [3, 4], [3], [4]]);
});
