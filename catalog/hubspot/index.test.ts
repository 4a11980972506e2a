import assert from "node:assert/strict";
import test from "node:test";
import { sampleEvents } from "../../core/test/samples.ts";
import capability, { read } from "./index.ts";

const here = { capability, folder: import.meta.dirname };

test("each item of a delivery is a note of its own, with a link to the record", async () => {
  const events = await sampleEvents(here, "contact.creation");
  assert.deepEqual(
    events.map((event) => [read(event).summary, read(event).url]),
    [
      ["In HubSpot, contact 1246965 is new", "https://app.hubspot.com/contacts/33/record/0-1/1246965"],
      ["In HubSpot, contact 1246978 is new", "https://app.hubspot.com/contacts/33/record/0-1/1246978"],
    ],
  );
});

test("a changed property is filed with its value", async () => {
  const [event] = await sampleEvents(here, "deal.propertyChange");
  assert.equal(read(event!).title, "HubSpot: deal 900123: dealstage is now closedwon");
});
