import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("a mention is filed as a person reads it", async () => {
  const [event] = await sampleEvents(here, "event_callback.app_mention");
  const note = read(event!)!;
  const text = "What is the hour of the pearl, @U0LAN0Z89? See the tide table (https://example.com/a?b=1&c=2)";
  assert.deepEqual([note.kind, note.text, note.title], ["mention", text, `Slack: ${text}`]);
  assert.equal(note.summary, "U061F7AUR mentioned the app in C0LAN2Q65");
  assert.equal(note.url, "https://slack.com/app_redirect?team=T123ABC456&channel=C0LAN2Q65");
});

test("a command is filed with its text", async () => {
  const [event] = await sampleEvents(here, "command");
  const note = read(event!)!;
  assert.deepEqual([note.title, note.summary], ["Slack: /weather 94070", "Steve gave the command /weather in test"]);
});

test("what a bot wrote, an edit and a join are not filed, a file is", async () => {
  const [event] = await sampleEvents(here, "event_callback.message");
  assert.equal(read(event!)!.summary, "U2147483697 wrote in D024BE91L");
  const with_ = (more: object) => {
    const data = structuredClone(event!.data) as { event: object };
    return read({ ...event!, data: { ...data, event: { ...data.event, ...more } } });
  };
  for (const more of [{ bot_id: "B1" }, { subtype: "message_changed" }, { subtype: "channel_join" }])
    assert.equal(with_(more), null);
  assert.equal(with_({ subtype: "file_share", text: "", files: [{ name: "a.pdf" }] })?.title, "Slack: a file");
});
