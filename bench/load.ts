// The load generator, a process of its own: raw sockets with keep-alive, each client with one signed delivery
// under way. `node bench/load.ts '{"port":…,"clients":…,"seconds":…,"secret":…}'` prints what came of it as JSON.
import { createHmac, randomUUID } from "node:crypto";
import { connect } from "node:net";
import { now, pause, quantile } from "./figures.ts";
import { githubBody } from "./payload.ts";

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  readonly seconds: number;
  readonly secret: string;
  /** So many a second, whether those before are answered or not. Default: each client sends when it has its answer. */
  readonly rate?: number;
  /** Tells of each delivery that was acked its id and when it was due. */
  readonly tell?: boolean;
}

export interface LoadFigures {
  readonly perSecond: number;
  /** Milliseconds from the first byte sent (offered at a rate: from when it was due) to the last byte of the answer. */
  readonly p50: number;
  readonly p99: number;
  /** Answers that were not 202, by status; `broken`: the connection broke before the answer. */
  readonly refused: Readonly<Record<string, number>>;
  /** Delivery and milliseconds since 1970, of all that were acked, the warming up too. */
  readonly acked: readonly (readonly [key: string, at: number])[];
}

const WARM_SECONDS = 1;
/** Different bodies, signed beforehand. */
const BODIES = 500;
/** Milliseconds after which a client does not believe in an answer any more, and until it knocks again. */
const [PATIENCE, AGAIN] = [20_000, 50];
const KEY = "00000000-0000-0000-0000-000000000000";

/** How many milliseconds after 1970 the clock of `now` began. */
const EPOCH = performance.timeOrigin + performance.now() - now();

async function load(options: LoadOptions): Promise<LoadFigures> {
  const { port, clients, seconds, secret, rate, tell } = options;
  const requests = Array.from({ length: BODIES }, (_, n) => toRequest(port, githubBody(n), secret));
  const times: number[] = [];
  const refused: Record<string, number> = {};
  const acked: [string, number][] = [];
  const from = now() + WARM_SECONDS * 1000;
  const until = from + seconds * 1000;
  let n = 0;
  const note = (status: string, key: string, began: number) => {
    const end = now();
    if (tell && status === "202") acked.push([key, EPOCH + began]);
    if (end < from || end >= until) return;
    if (status === "202") times.push(end - began);
    else refused[status] = (refused[status] ?? 0) + 1;
  };
  const all = Array.from({ length: clients }, () => openClient(port));
  /** One after the other; `next` says when the next one was due, and null when there is none. */
  const work = async (client: Client, next: () => number | null | Promise<number | null>) => {
    for (let due = await next(); due !== null; due = await next()) {
      const key = randomUUID();
      note(await client.send(requests[n++ % BODIES]!, key), key, due);
    }
    client.close();
  };
  const offered = rate ? offer(rate, from - WARM_SECONDS * 1000, until) : null;
  const again = () => (now() < until ? now() : null);
  await Promise.all(all.map((client) => work(client, offered ?? again)));
  return { perSecond: times.length / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99), refused, acked };
}

/** Due times at an even pace, each handed to the client that has waited longest for one. */
function offer(rate: number, began: number, until: number): () => Promise<number | null> {
  let place = 0;
  return async () => {
    const due = began + (place++ * 1000) / rate;
    if (due >= until) return null;
    if (due > now()) await pause(due - now());
    return due;
  };
}

interface Request {
  readonly bytes: Buffer;
  readonly keyAt: number;
}

function toRequest(port: number, body: string, secret: string): Request {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const text =
    `POST /hooks/github HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: ${KEY}\r\n` +
    `X-Hub-Signature-256: sha256=${signature}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  return { bytes: Buffer.from(text), keyAt: text.indexOf(KEY) };
}

interface Client {
  /** The status of the answer, or `broken`. */
  send(request: Request, key: string): Promise<string>;
  close(): void;
}

/** One connection, made anew when it breaks. */
function openClient(port: number): Client {
  let socket: ReturnType<typeof connect> | undefined;
  let heard = "";
  let answer: ((status: string) => void) | undefined;
  const end = (status: string, after = 0) => {
    const told = answer;
    answer = undefined;
    if (after > 0) setTimeout(() => told?.(status), after);
    else told?.(status);
  };
  const open = () => {
    const fresh = connect({ port, host: "127.0.0.1", noDelay: true });
    fresh.setTimeout(PATIENCE, () => fresh.destroy());
    fresh.on("data", (part) => {
      heard += part.toString("latin1");
      const status = statusOf(heard);
      if (status !== null) end(status);
    });
    fresh.on("error", () => {});
    fresh.once("close", () => {
      if (socket === fresh) socket = undefined;
      end("broken", AGAIN);
    });
    return fresh;
  };
  // Its own, because what was written may still be on its way to the kernel.
  const bytes = Buffer.alloc(8192);
  return {
    send: (request, key) =>
      new Promise((resolve) => {
        answer = resolve;
        heard = "";
        socket ??= open();
        request.bytes.copy(bytes);
        bytes.write(key, request.keyAt, "latin1");
        socket.write(bytes.subarray(0, request.bytes.length));
      }),
    close() {
      socket?.destroy();
    },
  };
}

/** The status of a whole answer; null while some of it is missing. */
function statusOf(heard: string): string | null {
  const end = heard.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const length = Number(/content-length: (\d+)/i.exec(heard.slice(0, end))?.[1] ?? 0);
  return heard.length >= end + 4 + length ? heard.slice(9, 12) : null;
}

process.stdout.write(JSON.stringify(await load(JSON.parse(process.argv[2]!) as LoadOptions)));
