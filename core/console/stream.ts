import type { Context } from "hono";
import type { Clock } from "../base/clock.ts";

/** An answer that is sent piece by piece, as server-sent events. */
export interface EventStream {
  /** Sends one event; does nothing once the stream has ended. */
  send(event: string, data: unknown): void;
  end(): void;
  /** Aborted when the stream has ended, whoever ended it. */
  readonly signal: AbortSignal;
}

const BEAT_MILLISECONDS = 15_000;
/** A reader that is this many bytes behind gets no more: it costs no further memory, and comes again when it has caught up. */
const MOST_BEHIND = 1024 * 1024;

/**
 * Answers with server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A comment
 * every 15 s keeps proxies from closing it; at each the stream ends unless `alive` still says so.
 */
export function openStream(
  context: Context,
  options: { clock: Clock; alive: () => Promise<boolean>; closing?: AbortSignal | undefined },
  work: (stream: EventStream) => void,
): Response {
  // Nobody would read it, or say when to stop.
  if (context.req.method === "HEAD") return context.body(null, 200);
  const encoder = new TextEncoder();
  const ended = new AbortController();
  let stopBeat = () => {};
  const forget = () => {
    stopBeat();
    ended.abort();
  };
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const end = () => {
      if (ended.signal.aborted) return;
      forget();
      controller.close();
    };
    const write = (words: string) => {
      if (ended.signal.aborted) return;
      controller.enqueue(encoder.encode(words));
      if (controller.desiredSize! < -MOST_BEHIND) end();
    };
    const beat = async () => {
      if (!(await options.alive().catch(() => true))) return end();
      write(": beat\n\n");
      if (!ended.signal.aborted) stopBeat = options.clock.after(BEAT_MILLISECONDS, beat);
    };
    stopBeat = options.clock.after(BEAT_MILLISECONDS, beat);
    options.closing?.addEventListener("abort", end, { signal: ended.signal });
    write(": open\n\n");
    work({
      send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
      end,
      signal: ended.signal,
    });
  };
  const body = new ReadableStream<Uint8Array>(
    { start, cancel: forget },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
  );
  // `X-Accel-Buffering` asks a proxy not to hold the pieces back.
  return context.body(body, 200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
}
