import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("an issue is filed with its state and its words", async () => {
  const [event] = await sampleEvents(here, "Issue.create");
  const note = read(event!)!;
  assert.equal(note.title, "Linear LIN-1778: Rendering breaks when a table has no rows");
  assert.equal(note.summary, "John Doe opened LIN-1778");
  assert.match(String(note.text), /^Steps:/);
});

test("a change of state is filed, another change is not", async () => {
  const [event] = await sampleEvents(here, "Issue.update");
  assert.equal(read(event!)?.summary, "John Doe moved LIN-1778 to Done");
  const data = { ...(event!.data as object), updatedFrom: { priority: 0 } };
  assert.equal(read({ ...event!, data }), null);
});

test("a comment is filed with what it is about", async () => {
  const [event] = await sampleEvents(here, "Comment.create");
  assert.equal(read(event!)?.summary, "Jane Doe commented on Rendering breaks when a table has no rows");
});
