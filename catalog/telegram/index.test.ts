import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a message is filed with who wrote it", async () => {
  const [event] = await sampleEvents(here, "message");
  const note = read(event!);
  assert.equal(note.summary, "Test Lastname (@testusername) wrote on Telegram");
  assert.equal(note.text, "Remind me of the tide table, please");
});

test("a changed photo of a group is told in words", async () => {
  const [event] = await sampleEvents(here, "edited_message");
  const note = read(event!);
  assert.equal(note.summary, "Test changed a message on Telegram in The harbour");
  assert.equal(note.text, "a photo: Low water");
});

test("an update without a message is an error for good", async () => {
  const [event] = await sampleEvents(here, "message");
  assert.throws(() => read({ ...event!, data: { update_id: 1 } }), { code: "payload.invalid" });
});
