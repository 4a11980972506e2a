import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { createLive, type Live } from "../../base/live.ts";
import { testConsole, testHttp } from "../../test/console.ts";
import { until } from "../../test/system.ts";

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
    await until("its next beat waits", () => house.clock.waiting.size === 1);
  }
});

test("who goes away is forgotten: no listener and no timer stays", async (t) => {
  const live = countedLive();
  const house = await testHttp(t, { live });
  const feeds = await Promise.all(Array.from({ length: 5 }, () => house.stream("/api/live")));
  await Promise.all(feeds.map((feed) => feed.next()));
  assert.deepEqual([live.listeners, house.clock.waiting.size], [5, 5]);
  for (const feed of feeds) feed.close();
  await until("nobody listens", () => live.listeners === 0 && house.clock.waiting.size === 0);
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

test("a connection on which nothing moves for three beats is cut off, whatever is left for it to read", async (t) => {
  const live = countedLive();
  const house = await testHttp(t, { live });
  const sockets: Socket[] = [];
  house.server.on("connection", (socket: Socket) => sockets.push(socket));
  const feed = await house.stream("/api/live");
  await feed.next();
  const [socket] = sockets;
  assert.equal(socket!.timeout, 45_000);
  socket!.emit("timeout");
  await once(socket!, "close");
  assert.deepEqual([live.listeners, house.clock.waiting.size], [0, 0]);
  await assert.rejects(feed.next());
});

test("one login has so many streams at most, and all together have; what is refused says when to come again", async (t) => {
  let asked = 0;
  const chat = async () => {
    asked++;
    throw new Error("a question was kept that nobody hears the answer of");
  };
  const house = await testConsole(t, { actions: { chat } });
  const tokens = await Promise.all([1, 2, 3, 4, 5].map(() => house.token("admin")));
  const open = (token: string) => house.ask("GET", "/api/live", { token });
  const streams: Response[] = [];
  const fill = async (token: string, many: number) => {
    for (let count = 0; count < many; count++) {
      const stream = await open(token);
      assert.equal(stream.status, 200);
      streams.push(stream);
    }
  };
  const refused = async (answer: Response, status: number, code: string) => {
    assert.deepEqual([answer.status, answer.headers.get("retry-after")], [status, "15"]);
    const { error } = (await answer.json()) as { error: { code: string; message: string; next: string } };
    assert.equal(error.code, code);
    assert.match(error.next, /15 seconds/);
  };
  await fill(tokens[0]!, 64);
  await refused(await open(tokens[0]!), 429, "stream.often");
  await refused(await house.ask("POST", "/api/chat", { token: tokens[0]!, body: { text: "hi" } }), 429, "stream.often");
  assert.equal((await house.ask("HEAD", "/api/live", { token: tokens[1]! })).status, 200);
  assert.equal((await house.ask("POST", "/api/chat", { token: tokens[1]!, body: {} })).status, 400);
  for (const token of tokens.slice(1, 4)) await fill(token, 64);
  await refused(await open(tokens[4]!), 503, "stream.busy");
  assert.equal(asked, 0);
  await streams[0]!.body!.cancel();
  await fill(tokens[4]!, 1);
  await refused(await open(tokens[4]!), 503, "stream.busy");
  for (const stream of streams.slice(1)) await stream.body!.cancel();
  assert.equal(house.clock.waiting.size, 0);
});
