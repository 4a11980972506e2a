import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { secretsOf } from "../../core/define/webhook.ts";
import { testHouse } from "../../core/test/house.ts";
import { fromCatalog } from "../../core/test/vendor.ts";
import { toEvents } from "../../core/triggers/event.ts";
import { verify } from "../../core/triggers/verify.ts";
import { count, KINDS, mask } from "./entries.ts";
import capability from "./index.ts";

const TYPES = Object.keys(KINDS) as (keyof typeof KINDS)[];
const [webhook] = capability.webhooks!;
const sampleText = (type: string) => readFileSync(join(import.meta.dirname, "samples", `${type}.json`), "utf8");

/** A recorded delivery, signed as Kit does. */
function delivery(type: string, secret: string) {
  const body = Buffer.from(sampleText(type));
  const t = Math.floor(Date.now() / 1000);
  const v1 = createHmac("sha256", secret).update(`${t}.`).update(body).digest("hex");
  const headers = { "content-type": "application/json", "x-kit-signature": `t=${t},v1=${v1}` };
  return { method: "POST", url: "/hooks/kit", headers, body };
}

/** The events that a recorded delivery comes to. */
function eventsOf(type: string) {
  const brought = toEvents(webhook!, delivery(type, "kit secret"));
  return "event" in brought ? [{ ...brought.event, data: brought.parsed }] : brought.events;
}

async function kitHouse(t: TestContext) {
  const values = { KIT_WEBHOOK_SECRET: "kit secret" };
  return await testHouse(t, { capabilities: fromCatalog(t, "subscribers"), values });
}

test("what Kit signs is let in, each item as an event of its own, and what another signs is not", () => {
  const request = delivery("subscriber.created", "kit secret");
  const judge = (secret: string) => verify(request, webhook!.verify, { secrets: [secret], now: new Date() });
  assert.deepEqual([judge("kit secret"), judge("another")], [null, "signature wrong"]);
  const events = eventsOf("subscriber.created");
  assert.deepEqual(
    events.map(({ type }) => type),
    ["subscriber.created", "subscriber.created", "subscriber.created"],
  );
  assert.equal(new Set(events.map(({ key }) => key)).size, 3);
  for (const name of secretsOf(webhook!)) assert.ok(capability.secrets!.some((secret) => secret.name === name));
});

test("each is a line of its day, once, with the address masked everywhere but in the event", async (t) => {
  const { house, send } = await kitHouse(t);
  const every = TYPES.flatMap(eventsOf);
  for (const { type, key, data } of every) {
    const event = { source: "kit", type, data, ...(key ? { key } : {}) };
    const run = await send(event);
    assert.equal(run.status, "completed", JSON.stringify(run.error));
    const again = await house.runs.dispatch({ ...event, label: { integrity: "untrusted", privacy: "public" } });
    assert.equal(again.duplicate, true);
  }
  const { text } = await house.hub.read("areas/subscribers/2026-11-22.md");
  assert.equal(text.match(/^- /gm)?.length, every.length);
  assert.match(text, /^---\ntrust: untrusted\n---\n/);
  assert.match(text, /^- 14:32 new: Ada, a…@example\.com \(987654\)$/m);
  assert.match(text, /^- 14:32 tagged "Course: webhooks": Ada, a…@example\.com/m);
  assert.match(text, /^- 14:32 new: s…@example\.org/m);
  const log = execFileSync("git", ["log", "-p", "--format=%B"], { cwd: house.hub.root }).toString();
  const [kept] = await house.database.query<{ text: string }>(
    "select string_agg(s.value::text || coalesce(s.detail::text, ''), ' ') || string_agg(r.result::text, ' ') as text from steps s join runs r on r.id = s.run_id",
  );
  for (const place of [log, kept!.text]) assert.doesNotMatch(place, /ada@|grace@|someone@/);
});

test("the week is counted, told, and stands in one table that grows", async (t) => {
  const { house, send, until } = await kitHouse(t);
  const today = new Date();
  const yesterday = new Date(today.getTime() - 86_400_000).toISOString();
  for (const type of ["subscriber.created", "subscriber.unsubscribed", "subscriber.tag_added"]) {
    for (const { data } of eventsOf(type)) {
      Object.assign((data as { events: object }).events, { created: yesterday });
      await send({ source: "kit", type, data });
    }
  }
  for (const time of [1, 2]) {
    const { runIds } = await house.schedules.fire("subscribers/week");
    const run = await until(runIds[0]!);
    assert.equal(run.status, "completed", JSON.stringify(run.error));
    const { text } = await house.hub.read("areas/subscribers/weeks.md");
    assert.equal(
      text.match(/^\| Week \| new \| confirmed \| left \| bounced \| complained \| tagged \|$/gm)?.length,
      1,
    );
    assert.equal(
      text.match(/^\| \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d \| 3 \| 0 \| 1 \| 0 \| 0 \| 1 \|$/gm)?.length,
      time,
    );
  }
  assert.equal((await house.hub.label("areas/subscribers/abstract.md")).integrity, "trusted");
  const messages = await house.database.query<{ text: string }>("select text from messages");
  assert.match(messages[0]!.text, /3 new, 0 confirmed, 1 left/);
});

test("a day that does not fit into one file goes on in another", async (t) => {
  const { house, send } = await kitHouse(t);
  await house.hub.create("areas/subscribers/2026-11-22.md", "x".repeat(512 * 1024 - 10), "A full list", {});
  const [event] = eventsOf("subscriber.activated");
  const run = await send({ source: "kit", type: event!.type, data: event!.data });
  assert.deepEqual(run.result, { kind: "confirmed", path: "areas/subscribers/2026-11-22-2.md" });
});

test("a name cannot make a line of its own, and only lines of ours are counted", () => {
  assert.equal(mask("ada@example.com"), "a…@example.com");
  assert.equal(mask("no address"), "…@");
  const text = "- 14:32 new: A\n- 14:33 left: B (1)\n- 14:34 stolen: C\nnew\n  - 14:35 new\n";
  assert.deepEqual(
    [...count(text)],
    [
      ["new", 1],
      ["left", 1],
    ],
  );
});
