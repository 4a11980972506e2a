import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";
import { DaimonError } from "../base/errors.ts";
import { isLoginAlive, type Login } from "../store/logins.ts";
import type { ConsoleEnv } from "./auth.ts";
import type { ConsoleOptions } from "./options.ts";

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
/** A connection on which nothing moves for so long is cut off, with what is left to be read. */
const STILL_MILLISECONDS = 3 * BEAT_MILLISECONDS;
/** Open streams of one login, and of all. */
const MOST_OF_LOGIN = 64;
const MOST = 256;
const STREAM = "text/event-stream";

/** Stands before what answers with a stream, so that nothing is begun for which there is no room: 429, or 503. */
export function limitStreams(): MiddlewareHandler<ConsoleEnv> {
  const open = new Set<Login>();
  return async (context, next) => {
    const login = context.get("login");
    const own = [...open].filter(({ hash }) => hash === login.hash).length;
    if (own >= MOST_OF_LOGIN || open.size >= MOST) {
      const seconds = BEAT_MILLISECONDS / 1000;
      context.header("Retry-After", String(seconds));
      throw own >= MOST_OF_LOGIN
        ? new DaimonError(
            "stream.often",
            `This login has ${own} streams open.`,
            `Close some, or wait ${seconds} seconds.`,
          )
        : new DaimonError("stream.busy", `${MOST} streams are open.`, `Try again in ${seconds} seconds.`);
    }
    open.add(login);
    const leave = () => open.delete(login);
    context.set("leaveStream", leave);
    await next();
    if (context.res.headers.get("content-type") !== STREAM) leave();
  };
}

/**
 * Answers with server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A comment
 * every 15 s keeps proxies from closing it; at each the stream ends unless the login still stands.
 */
export function openStream(
  context: Context<ConsoleEnv>,
  options: Pick<ConsoleOptions, "database" | "clock" | "closing">,
  work: (stream: EventStream) => void,
): Response {
  const { database, clock } = options;
  // Nobody would read it, or say when to stop.
  if (context.req.method === "HEAD") return context.body(null, 200);
  const encoder = new TextEncoder();
  const ended = new AbortController();
  let stopBeat = () => {};
  const forget = () => {
    context.get("leaveStream")();
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
      if (!(await isLoginAlive(database, context.get("login"), clock.now()).catch(() => true))) return end();
      write(": beat\n\n");
      if (!ended.signal.aborted) stopBeat = clock.after(BEAT_MILLISECONDS, beat);
    };
    stopBeat = clock.after(BEAT_MILLISECONDS, beat);
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
  (context.env as Partial<HttpBindings> | undefined)?.outgoing?.setTimeout(STILL_MILLISECONDS);
  // `X-Accel-Buffering` asks a proxy not to hold the pieces back.
  return context.body(body, 200, { "Content-Type": STREAM, "X-Accel-Buffering": "no" });
}
