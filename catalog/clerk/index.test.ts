import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("who signs up is filed with name and mail", async () => {
  const [event] = await sampleEvents(here, "user.created");
  const note = read(event!);
  assert.equal(note.summary, "Example Example has signed up");
  assert.ok(note.facts?.some(([name, value]) => name === "Mail" && value === "example@example.org"));
});

test("who leaves is filed by the id, which is all that is left", async () => {
  const [event] = await sampleEvents(here, "user.deleted");
  assert.equal(read(event!).summary, "The account user_29wBMCtzATuFJut8jO2VNTVekS4 was deleted");
});

test("a new organization is filed", async () => {
  const [event] = await sampleEvents(here, "user.created");
  const data = { type: "organization.created", data: { id: "org_1", name: "Acme Inc", slug: "acme" } };
  assert.equal(read({ ...event!, type: "organization.created", data }).title, "Clerk: new organization Acme Inc");
});
