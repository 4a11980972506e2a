import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a text is filed with who wrote it", async () => {
  const [event] = await sampleEvents(here, "message.text");
  const note = read(event!);
  assert.deepEqual([note.text, note.summary], ["Does it come in another color? 🙂", "Sheena Nelson wrote on WhatsApp"]);
});

test("two messages of one delivery are two notes, each in words", async () => {
  const events = await sampleEvents(here, "message.image");
  assert.deepEqual(
    events.map((event) => [event.type, read(event).text]),
    [
      ["message.image", "an image: This one"],
      ["message.audio", "a voice message"],
    ],
  );
});

test("what else can be sent is told in words, from whoever shows no number too", async () => {
  const [event] = await sampleEvents(here, "message.text");
  const said = (more: object) => {
    const data = structuredClone(event!.data) as { entry: { changes: { value: Record<string, unknown> } } };
    data.entry.changes.value.messages = { id: "w", timestamp: "1", from_user_id: "NL.1234", ...more };
    data.entry.changes.value.contacts = undefined;
    return read({ ...event!, data });
  };
  assert.equal(said({ type: "text", text: { body: "hi" } }).summary, "NL.1234 wrote on WhatsApp");
  for (const [more, words] of [
    [{ type: "location", location: { latitude: 52.1, longitude: 4.3, name: "Pier" } }, "is at Pier, 52.1, 4.3"],
    [{ type: "reaction", reaction: { emoji: "👍" } }, "reacted with 👍"],
    [{ type: "interactive", interactive: { button_reply: { id: "1", title: "Yes" } } }, "Yes"],
    [{ type: "document", document: { filename: "a.pdf" } }, "a document: a.pdf"],
    [{ type: "sticker", sticker: {} }, "a sticker"],
  ] as const)
    assert.equal(said(more).text, words);
});

test("a message of ours that failed is filed with Meta's reason", async () => {
  const [event] = await sampleEvents(here, "status.failed");
  const note = read(event!);
  assert.equal(note.summary, "WhatsApp could not deliver a message to 16505551234");
  assert.match(String(note.text), /more than 24 hours have passed/);
});
