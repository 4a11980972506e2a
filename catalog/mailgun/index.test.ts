import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("what went wrong with a mail is filed with the reason", async () => {
  const [event] = await sampleEvents(here, "failed");
  const note = read(event!);
  assert.equal(note.summary, "alice@example.com did not get a mail");
  assert.ok(note.facts?.some(([name, value]) => name === "Reason" && value === "suppress-bounce"));
  const [complained] = await sampleEvents(here, "complained");
  assert.equal(read(complained!).title, "Mailgun: alice@example.com called a mail spam");
});

test("a forwarded mail is filed without what it quotes", async () => {
  const [event] = await sampleEvents(here, "inbound", "mailgun-inbound");
  const note = read(event!);
  assert.equal(note.title, "Mail: Re: Sample POST request");
  assert.equal(note.summary, "Alice <alice@example.com> wrote to monica@mg.example.com");
  assert.equal(note.text, "Hi Alice,\r\n\r\nThis is Bob.");
});
