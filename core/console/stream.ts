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
/** A reader that is this many bytes behind is cut off, so that it costs no more memory than that. */
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
  const encoder = new TextEncoder();
  const ended = new AbortController();
  let stopBeat = () => {};
  const stop = () => {
    stopBeat();
    options.closing?.removeEventListener("abort", stop);
    ended.abort();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        ended.signal.addEventListener("abort", () => {
          // Already closed when the reader went away first.
          if (controller.desiredSize !== null) controller.close();
        });
        const write = (words: string) => {
          if (ended.signal.aborted) return;
          controller.enqueue(encoder.encode(words));
          if ((controller.desiredSize ?? 0) >= -MOST_BEHIND) return;
          controller.error(new Error("The reader of a stream is too slow."));
          stop();
        };
        const beat = async () => {
          if (!(await options.alive().catch(() => true))) return stop();
          write(": beat\n\n");
          if (!ended.signal.aborted) stopBeat = options.clock.after(BEAT_MILLISECONDS, beat);
        };
        stopBeat = options.clock.after(BEAT_MILLISECONDS, beat);
        options.closing?.addEventListener("abort", stop);
        write(": open\n\n");
        work({
          send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
          end: stop,
          signal: ended.signal,
        });
      },
      cancel: stop,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
  );
  // `X-Accel-Buffering` asks a proxy not to hold the pieces back.
  return context.body(body, 200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
}
