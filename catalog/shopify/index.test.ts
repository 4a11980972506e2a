import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("an order is filed with who bought what, and for how much", async () => {
  const [event] = await sampleEvents(here, "orders/create");
  const note = read(event!);
  assert.equal(note.title, "Shopify order: #9999 made, 398.00 USD");
  assert.equal(note.summary, "Order #9999 of John Smith for 398.00 USD was made");
  assert.equal(note.text, "1 x IPod Nano - 8GB (199.00)\n1 x IPod Nano - 8GB (199.00)\n\nPlease ring twice");
  assert.ok(note.facts?.some(([name, value]) => name === "To" && value === "Shippington, United States"));
  assert.match(read({ ...event!, type: "orders/cancelled" }).summary, /USD was canceled$/);
});

test("a new customer is filed", async () => {
  const [event] = await sampleEvents(here, "customers/create");
  const note = read(event!);
  assert.deepEqual([note.summary, note.text], ["Bob Biller is a new customer", "This customer loves ice cream"]);
});
