import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a command is filed with its options", async () => {
  const [event] = await sampleEvents(here, "command");
  const note = read(event!);
  assert.equal(note.title, "Discord: /cardsearch The Gitrog Monster");
  assert.equal(note.summary, "Mason gave /cardsearch on Discord");
  assert.equal(note.text, "cardname: The Gitrog Monster");
  assert.equal(note.url, "https://discord.com/channels/290926798626357999/645027906669510667");
});

test("options of a subcommand and fields of a form are found where they stand", async () => {
  const [event] = await sampleEvents(here, "command");
  const options = [{ name: "add", type: 1, options: [{ name: "count", type: 4, value: 3 }] }];
  assert.equal(
    read({ ...event!, data: { ...(event!.data as object), data: { name: "cards", options } } }).text,
    "count: 3",
  );
  const [modal] = await sampleEvents(here, "modal");
  const note = read(modal!);
  assert.deepEqual(
    [note.summary, note.text],
    ["mason gave form cool_modal on Discord", "name: A video on tides\nwhy: People ask"],
  );
});

test("who gave a command is told that it was kept, and only they", () => {
  const replies = capability.webhooks![0]!.replies!.accepted!;
  assert.deepEqual(replies.at(-1), { status: 200, json: { type: 4, data: { content: "Kept.", flags: 64 } } });
  assert.deepEqual(
    replies.slice(0, 2).map(({ json }) => (json as { type: number }).type),
    [6, 8],
  );
});
