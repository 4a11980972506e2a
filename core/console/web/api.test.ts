import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { call, readEventStream } from "./api.ts";

async function read(...pieces: (string | Uint8Array)[]) {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) {
        controller.enqueue(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
      }
      controller.close();
    },
  });
  const events = [];
  for await (const event of readEventStream(body)) events.push(event);
  return events;
}

test("events are read whole, however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode('event: delta\ndata: {"text":"é…"}\n\nevent: done\r\ndata: {"usd":1}\r\n\r\n');
  const expected = [
    { event: "delta", data: { text: "é…" } },
    { event: "done", data: { usd: 1 } },
  ];
  assert.deepEqual(await read(bytes), expected);
  assert.deepEqual(await read(...Array.from(bytes, (_, at) => bytes.slice(at, at + 1))), expected);
});

test("comments are left out, and what broke off is too", async () => {
  assert.deepEqual(await read(": beat\n\n", 'data: {"a":1}\n\n', "event: delta\nda"), [
    { event: "message", data: { a: 1 } },
  ]);
});

test("what only reads is given up after 20 seconds without an answer", async (t) => {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  // The types do not name it yet.
  t.mock.timers.enable({ apis: ["AbortSignal.timeout" as "setTimeout"] });
  const asked = call("GET", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(server, "request");
  t.mock.timers.tick(20_000);
  await assert.rejects(asked, { code: "console.unreachable" });
});
