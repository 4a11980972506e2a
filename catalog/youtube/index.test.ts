import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { secretsOf } from "../../core/define/webhook.ts";
import { pastRetries, testHouse } from "../../core/test/house.ts";
import { fromCatalog, movedClock, testVendor, type VendorRoutes } from "../../core/test/vendor.ts";
import { toEvents } from "../../core/triggers/event.ts";
import { verify } from "../../core/triggers/verify.ts";
import { renderXml } from "../../core/triggers/xml.ts";
import capability from "./index.ts";

const HOUR = 3_600_000;
const [webhook] = capability.webhooks!;
const SECRETS = {
  ...{ YOUTUBE_WEBHOOK_SECRET: "hub secret", YOUTUBE_VERIFY_TOKEN: "verify token" },
  ...{ YOUTUBE_CHANNEL_ID: "UC_x5XG1OV2P6uZZ5FSM9Ttw", YOUTUBE_API_KEY: "AIza-test" },
};
const sample = () => JSON.parse(readFileSync(join(import.meta.dirname, "samples/video.json"), "utf8"));

/** The recorded notice, of a video that was published now. */
function notice(changes: object = {}) {
  const data = sample();
  Object.assign(data.feed.entry, { published: new Date().toISOString() }, changes);
  return data;
}

const numbers = (views: number, more: object = {}) => ({
  json: {
    kind: "youtube#videoListResponse",
    items: [
      {
        id: "dQw4w9WgXcQ",
        snippet: { title: "How webhooks work" },
        statistics: { viewCount: String(views), likeCount: "7", ...more },
      },
    ],
  },
});

async function youtubeHouse(t: TestContext, routes: VendorRoutes, options: { publicUrl?: string } = {}) {
  const google = await testVendor(t, routes);
  const addresses = { "https://www.googleapis.com": google.url, "https://pubsubhubbub.appspot.com": google.url };
  const clock = movedClock();
  const capabilities = fromCatalog(t, "youtube", addresses);
  const tested = await testHouse(t, { capabilities, values: SECRETS, clock, ...options });
  return {
    ...{ ...tested, google, clock },
    /** The runs of `follow`, once there are so many. */
    async series() {
      const rows = await tested.house.database.query<{ id: string }>(
        "select id from runs where handler = 'trigger:youtube/follow' order by id",
      );
      return rows.map(({ id }) => id);
    },
  };
}

test("what YouTube's hub signs is let in under the video's id and time, and what another signs is not", () => {
  const body = Buffer.from(`<?xml version='1.0' encoding='UTF-8'?>${renderXml(sample())}`);
  const signature = createHmac("sha1", "hub secret").update(body).digest("hex");
  const headers = { "content-type": "application/atom+xml", "x-hub-signature": `sha1=${signature}` };
  const request = { method: "POST", url: "/hooks/youtube", headers, body };
  const judge = (secret: string) => verify(request, webhook!.verify, { secrets: [secret], now: new Date() });
  assert.deepEqual([judge("hub secret"), judge("another")], [null, "signature wrong"]);
  const brought = toEvents(webhook!, request);
  assert.ok("event" in brought);
  assert.deepEqual(
    [brought.event.type, brought.event.key],
    ["video", "dQw4w9WgXcQ 2027-05-22T15:03:21.184530131+00:00"],
  );
  for (const name of secretsOf(webhook!)) assert.ok(capability.secrets!.some((secret) => secret.name === name));
});

test("a new video's file grows after 1, 24 and 72 hours; a changed title begins no second series", async (t) => {
  const { house, send, until, series, google, clock } = await youtubeHouse(t, {
    "GET /youtube/v3/videos": ({ headers, query }, count) => {
      assert.deepEqual([headers["x-goog-api-key"], query.get("id")], ["AIza-test", "dQw4w9WgXcQ"]);
      if (count === 0) return { status: 500 };
      return numbers(count * 1000);
    },
  });
  const first = await send({ source: "youtube", type: "video", data: notice() });
  assert.deepEqual(first.result, { videos: ["dQw4w9WgXcQ"], begun: ["dQw4w9WgXcQ"] });
  const [id] = await series();
  await until(id!, /waiting/);
  assert.equal(google.requests.length, 0);
  await send({
    source: "youtube",
    type: "video",
    data: notice({ title: "How webhooks really work", updated: "later" }),
  });
  assert.equal((await series()).length, 1);

  const rows: number[] = [];
  for (const hours of [1, 23, 48]) {
    clock.advance(hours * HOUR + 1000);
    for (const end = Date.now() + 15_000; google.asked("GET").length < rows.length + 2; ) {
      assert.ok(Date.now() < end, "the numbers are not asked for");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    rows.push(hours);
  }
  const run = await until(id!);
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  const { path } = run.result as { path: string };
  assert.match(path, /^areas\/videos\/\d{4}-\d\d-\d\d-how-webhooks-work-dQw4w9WgXcQ\.md$/);
  const { text } = await house.hub.read(path);
  assert.match(text, /trust: untrusted/);
  assert.match(
    text,
    /\| 1 h \| 1,000 \| 7 \| hidden \| How webhooks work \|\n\| 24 h \| 2,000 .*\n\| 72 h \| 3,000 .*\n$/,
  );
});

test("a video that is gone ends its series, and one of long ago begins none", async (t) => {
  const { send, until, series, clock } = await youtubeHouse(t, {
    "GET /youtube/v3/videos": () => ({ json: { items: [] } }),
  });
  const old = await send({
    source: "youtube",
    type: "video",
    data: notice({ published: "2020-01-01T00:00:00+00:00" }),
  });
  assert.deepEqual(old.result, { videos: ["dQw4w9WgXcQ"], begun: [] });
  await send({ source: "youtube", type: "video", data: notice() });
  const [id] = await series();
  await until(id!, /waiting/);
  clock.advance(HOUR + 1000);
  assert.equal((await until(id!)).status, "completed");
  assert.equal(((await until(id!)).result as { gone: boolean }).gone, true);
});

test("renew subscribes with the address of this house, the secret and the token", async (t) => {
  const tested = await youtubeHouse(
    t,
    { "POST /subscribe": (_, count) => ({ status: count === 0 ? 429 : 202 }) },
    { publicUrl: "https://daimon.example" },
  );
  const { house, google } = tested;
  const { runIds } = await house.schedules.fire("youtube/renew");
  const run = await pastRetries(tested, runIds[0]!);
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  const form = Object.fromEntries(new URLSearchParams(google.requests.at(-1)!.body));
  assert.deepEqual(form, {
    ...{ "hub.mode": "subscribe", "hub.callback": "https://daimon.example/hooks/youtube", "hub.verify": "async" },
    "hub.topic": "https://www.youtube.com/xml/feeds/videos.xml?channel_id=UC_x5XG1OV2P6uZZ5FSM9Ttw",
    ...{ "hub.secret": "hub secret", "hub.verify_token": "verify token", "hub.lease_seconds": "432000" },
  });
});

test("without publicUrl renew fails for good and says what to set", async (t) => {
  const { house, until } = await youtubeHouse(t, {});
  const { runIds } = await house.schedules.fire("youtube/renew");
  const run = await until(runIds[0]!);
  assert.deepEqual([run.status, run.error!.code], ["failed", "address.missing"]);
});
