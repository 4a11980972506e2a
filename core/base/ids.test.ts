import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "./ids.ts";

test("ids sort by when they were made, those of one millisecond too, and none comes twice", () => {
  const times = Array.from({ length: 5000 }, (_, place) => 1_700_000_000_000 + Math.floor(place / 1000));
  const ids = times.map((time) => newId("evt", time));
  assert.deepEqual(ids, ids.toSorted());
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^evt_[0-9a-hjkmnp-tv-z]{26}$/);
  // Kinds share the count: a later id of another kind is the higher one.
  const [one, other] = [newId("run", 1), newId("msg", 1)].map((id) => id.slice(4));
  assert.ok(one! < other!);
});

test("ids of different milliseconds have nothing in common but the time", () => {
  const ends = new Set(Array.from({ length: 1000 }, (_, time) => newId("evt", time).slice(-16)));
  assert.equal(ends.size, 1000);
});
