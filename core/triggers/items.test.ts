import assert from "node:assert/strict";
import { test } from "node:test";
import { toItems } from "./items.ts";

const items = (data: unknown, ...paths: string[]) => toItems(data, paths, JSON.stringify(data)?.length ?? 0);

test("each item stands where its list stood, with what is around it", () => {
  const data = { delivery_id: "d", events: [{ id: 1 }, { id: 2 }] };
  assert.deepEqual(items(data, "events[]"), [
    { delivery_id: "d", events: { id: 1 } },
    { delivery_id: "d", events: { id: 2 } },
  ]);
  assert.deepEqual(items([{ a: 1 }, 2], "[]"), [{ a: 1 }, 2]);
});

test("lists within lists: what has none of the inner ones is an item itself, and none carries another's", () => {
  const data = {
    object: "whatsapp_business_account",
    entry: [
      {
        id: "e1",
        changes: [
          { field: "messages", value: { metadata: 1, contacts: [7], messages: [{ id: "m1" }, { id: "m2" }] } },
          { field: "messages", value: { metadata: 2, messages: [{ id: "m3" }], statuses: [{ id: "s1" }] } },
          { field: "account_update", value: { event: "x" } },
        ],
      },
      { id: "e2", changes: [] },
    ],
  };
  const found = items(data, "entry[].changes[].value.messages[]", "entry[].changes[].value.statuses[]");
  const one = (id: string, change: object) => ({ object: data.object, entry: { id, changes: change } });
  assert.deepEqual(found, [
    one("e1", { field: "messages", value: { metadata: 1, contacts: [7], messages: { id: "m1" } } }),
    one("e1", { field: "messages", value: { metadata: 1, contacts: [7], messages: { id: "m2" } } }),
    one("e1", { field: "messages", value: { metadata: 2, messages: { id: "m3" } } }),
    one("e1", { field: "messages", value: { metadata: 2, statuses: { id: "s1" } } }),
    one("e1", { field: "account_update", value: { event: "x" } }),
    { object: data.object, entry: { id: "e2", changes: [] } },
  ]);
});

test("without such a list there is no item, whatever stands there", () => {
  for (const data of [null, 1, "events", [], {}, { events: null }, { events: {} }, { events: [] }, [{ events: [1] }]])
    assert.deepEqual(items(data, "events[]"), [], JSON.stringify(data));
  assert.deepEqual(items({}, "[]"), []);
});

test("too many items, or items that repeat too much, are not taken apart", () => {
  assert.equal(items({ events: Array(1001).fill(0) }, "events[]"), "many");
  assert.equal(items({ events: Array(1000).fill(0) }, "events[]").length, 1000);
  const nested = { a: Array(100).fill({ b: Array(100).fill(0) }) };
  assert.equal(items(nested, "a[].b[]"), "many");
  assert.equal(items({ around: "x".repeat(500_000), events: Array(1000).fill(0) }, "events[]"), "many");
  const large = items({ events: Array(1000).fill("x".repeat(800)) }, "events[]");
  assert.equal(large.length, 1000, "a large delivery of many items is");
});
