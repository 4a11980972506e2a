import assert from "node:assert/strict";
import { test } from "node:test";
import { createLive, type Live } from "../../base/live.ts";
import { testHttp } from "../../test/console.ts";

/** A live channel that counts who listens. */
function countedLive(): Live & { listeners: number } {
  const live = createLive();
  const counted = {
    ...live,
    listeners: 0,
    subscribe(listener: Parameters<Live["subscribe"]>[0]) {
      counted.listeners++;
      const unsubscribe = live.subscribe(listener);
      return () => {
        counted.listeners--;
        unsubscribe();
      };
    },
  };
  return counted;
}

const until = async (fact: () => boolean) => {
  for (let tries = 0; !fact(); tries++) {
    assert.ok(tries < 500, "it never came true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

test("what changes is told as it changes; the pieces of answers are not", async (t) => {
  const house = await testHttp(t);
  const feed = await house.stream("/api/live");
  assert.equal(feed.response.headers.get("content-type"), "text/event-stream");
  assert.equal(feed.response.headers.get("cache-control"), "no-store");
  assert.equal((await feed.next())?.event, ": open");
  house.live.publish({ kind: "delta", id: "run_1", text: "Hel" });
  house.live.publish({ kind: "run", id: "run_1", status: "running", name: "agent:default" });
  assert.deepEqual(await feed.next(), {
    event: "change",
    data: { kind: "run", id: "run_1", status: "running", name: "agent:default" },
  });
});

test("a heartbeat comes every fifteen seconds", async (t) => {
  const house = await testHttp(t);
  const feed = await house.stream("/api/live");
  await feed.next();
  for (let beats = 0; beats < 2; beats++) {
    house.clock.advance(15_000);
    assert.equal((await feed.next())?.event, ": beat");
    await until(() => house.clock.waiting.size === 1);
  }
});

test("who goes away is forgotten: no listener and no timer stays", async (t) => {
  const live = countedLive();
  const house = await testHttp(t, { live });
  const feeds = await Promise.all(Array.from({ length: 5 }, () => house.stream("/api/live")));
  await Promise.all(feeds.map((feed) => feed.next()));
  assert.deepEqual([live.listeners, house.clock.waiting.size], [5, 5]);
  for (const feed of feeds) feed.close();
  await until(() => live.listeners === 0 && house.clock.waiting.size === 0);
});

test("a stream ends when its token is removed, and when the server closes", async (t) => {
  const closing = new AbortController();
  const house = await testHttp(t, { closing: closing.signal });
  const token = await house.token("read");
  const { items } = await house.json<{ items: { name: string }[] }>("/api/tokens").catch(() => ({ items: [] }));
  assert.ok(items);
  const feed = await house.stream("/api/live", undefined, { authorization: `Bearer ${token}` });
  await feed.next();
  await house.database.query("delete from logins where name like 'read-%'");
  house.clock.advance(15_000);
  assert.equal(await feed.next(), null);

  const other = await house.stream("/api/live");
  await other.next();
  closing.abort();
  assert.equal(await other.next(), null);
});

test("a reader that is too slow gets no more than fits, instead of filling memory", async (t) => {
  const live = countedLive();
  const house = await testHttp(t, { live });
  const feed = await house.stream("/api/live");
  await feed.next();
  assert.equal(live.listeners, 1);
  const text = "x".repeat(64 * 1024);
  let sent = 0;
  while (live.listeners === 1 && sent < 4000) {
    live.publish({ kind: "message", id: "msg_1", text });
    if (++sent % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(live.listeners, 0);
  let read = 0;
  while (await feed.next()) read++;
  assert.ok(read > 0 && read <= sent, `${read} of ${sent} were read`);
  // The house goes on for all others.
  const next = await house.stream("/api/live");
  assert.equal((await next.next())?.event, ": open");
});
