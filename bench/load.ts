// The load generator, a process of its own: raw sockets with keep-alive, each client with one signed delivery
// under way. `node bench/load.ts '{"port":…,"clients":…,"seconds":…,"secret":…}'` prints what came of it as JSON.
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { now, quantile } from "./figures.ts";
import { githubBody } from "./payload.ts";

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  readonly seconds: number;
  readonly secret: string;
}

export interface LoadFigures {
  readonly perSecond: number;
  /** Milliseconds from the first byte sent to the last byte of the answer. */
  readonly p50: number;
  readonly p99: number;
  /** Answers that were not 202, by status. */
  readonly refused: Readonly<Record<string, number>>;
}

const WARM_SECONDS = 1;
/** Different bodies, signed beforehand. */
const BODIES = 500;

async function load({ port, clients, seconds, secret }: LoadOptions): Promise<LoadFigures> {
  const signed = Array.from({ length: BODIES }, (_, n) => {
    const body = githubBody(n);
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    return { body, signature };
  });
  const times: number[] = [];
  const refused: Record<string, number> = {};
  const from = now() + WARM_SECONDS * 1000;
  const until = from + seconds * 1000;
  let n = 0;

  const client = async () => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    let heard = "";
    let began = 0;
    const send = () => {
      const { body, signature } = signed[n++ % BODIES]!;
      began = now();
      socket.write(requestOf(port, body, signature));
    };
    await new Promise<void>((resolve, reject) => {
      socket.on("data", (part) => {
        heard += part.toString("latin1");
        const status = statusOf(heard);
        if (status === null) return;
        const end = now();
        heard = "";
        if (end >= from && end < until) {
          if (status === "202") times.push(end - began);
          else refused[status] = (refused[status] ?? 0) + 1;
        }
        if (end < until) send();
        else resolve();
      });
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the server closed the connection")));
      send();
    });
    socket.destroy();
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { perSecond: times.length / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99), refused };
}

function requestOf(port: number, body: string, signature: string): string {
  return (
    `POST /hooks/github HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: ${randomUUID()}\r\n` +
    `X-Hub-Signature-256: sha256=${signature}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** The status of a whole answer; null while some of it is missing. */
function statusOf(heard: string): string | null {
  const end = heard.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const length = Number(/content-length: (\d+)/i.exec(heard.slice(0, end))?.[1] ?? 0);
  return heard.length >= end + 4 + length ? heard.slice(9, 12) : null;
}

process.stdout.write(JSON.stringify(await load(JSON.parse(process.argv[2]!) as LoadOptions)));
