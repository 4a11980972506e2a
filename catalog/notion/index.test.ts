import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a change is filed with where to look", async () => {
  const [event] = await sampleEvents(here, "page.content_updated");
  const note = read(event!);
  assert.equal(note.title, "Notion: page content updated in Quantify Labs");
  assert.equal(note.url, "https://www.notion.so/153104cd477e809d8dc4ff2d96ae3090");
  assert.ok(note.facts?.some(([name, value]) => name === "Blocks changed" && value === 2));
});

test("a comment leads to its page", async () => {
  const [event] = await sampleEvents(here, "comment.created");
  assert.equal(read(event!).url, "https://www.notion.so/0ef104cd477e80e18571cfd10e92339a");
});
