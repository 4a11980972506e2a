import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a text, a call and a text that did not arrive are filed in words", async () => {
  const said: string[] = [];
  for (const type of ["message", "call.ringing", "status.undelivered"]) {
    const [event] = await sampleEvents(here, type);
    said.push(read(event!).summary);
  }
  assert.deepEqual(said, [
    "+14155551234 sent a text to +15558675310",
    "+14155551234 calls +15558675310",
    "Twilio says that a text to +14155551234 is undelivered",
  ]);
});

test("a text without words says what came with it", async () => {
  const [event] = await sampleEvents(here, "message");
  const note = read({ ...event!, data: { ...(event!.data as object), Body: "", NumMedia: "2" } });
  assert.equal(note.title, "Text: 2 files");
});
