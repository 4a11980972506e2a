import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a payload is filed under its type, with its data alone", async () => {
  for (const source of ["standard-webhook", "standard-webhook-ed25519"]) {
    const under = source === "standard-webhook" ? undefined : source;
    const [event] = await sampleEvents(here, "contact.created", under);
    assert.equal(event!.source, source);
    const note = read(event!);
    assert.equal(note.title, "Standard Webhook: contact.created");
    assert.equal((note.text as { first_name: string }).first_name, "John");
  }
});

test("a payload without data is shown as it is", async () => {
  const [event] = await sampleEvents(here, "contact.created");
  assert.deepEqual(read({ ...event!, data: { type: "ping", message: "hi" } }).text, { message: "hi" });
});
