import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { DaimonError } from "./base/errors.ts";
import type { RawRequest } from "./define/event.ts";
import { type Answer, failure, missing, NO_METHOD } from "./triggers/answers.ts";
import type { Intake } from "./triggers/intake.ts";

/** How long a body may take to arrive, in milliseconds. */
const BODY_MILLISECONDS = 10_000;
/** How long a body that is refused already is still listened to, in milliseconds. */
const LINGER_MILLISECONDS = 2000;

export interface WebServer {
  readonly url: string;
  readonly port: number;
  /** Takes no new connection, ends what is under way, closes. */
  close(): Promise<void>;
}

export interface WebServerOptions {
  readonly host: string;
  readonly port: number;
  readonly intake: () => Intake | undefined;
  /** Everything that is not a webhook or a health check. */
  readonly app: () => { fetch(request: Request, bindings: object): Response | Promise<Response> } | undefined;
  /** False while starting and draining. */
  readonly ready: () => boolean;
  readonly metrics: () => (() => Promise<string>) | undefined;
}

/**
 * The one port: webhooks straight from the socket (the hot path), health and metrics, and the console for the rest.
 * Throws `port.taken`, `port.unusable`.
 */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  const page = getRequestListener(
    (request, bindings) => options.app()?.fetch(request, bindings) ?? toResponse(unready()),
  );
  const server = createServer(
    { requestTimeout: 60_000, headersTimeout: 10_000, keepAliveTimeout: 75_000 },
    (request, response) => {
      const path = (request.url ?? "/").split("?", 1)[0]!;
      if (path.startsWith("/hooks/")) return void receive(path.slice(7), request, response, options.intake());
      if (path === "/healthz") return answer(response, { status: 200, body: { alive: true } });
      if (path === "/readyz")
        return answer(response, { status: options.ready() ? 200 : 503, body: { ready: options.ready() } });
      if (path === "/metrics") return void sendMetrics(response, options);
      return void page(request, response);
    },
  );
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: `http://${host}:${port}`, port, close: () => close(server) };
}

async function receive(
  source: string,
  request: IncomingMessage,
  response: ServerResponse,
  intake: Intake | undefined,
): Promise<void> {
  if (!intake) return answer(response, unready());
  const { method = "", url = "" } = request;
  const head: RawRequest = { method, url, headers: headersOf(request), body: EMPTY };
  const most = intake.maxBytes(source, () => head);
  if (method === "GET") return answer(response, await intake.receive(source, head));
  if (method !== "POST") return answer(response, most ? NO_METHOD : missing(source));
  if (most === undefined) return answerEarly(request, response, missing(source));
  const body = await readBody(request, head, most);
  if (body === "large") {
    intake.refuse(source, "body too large");
    return answerEarly(request, response, tooLarge(most));
  }
  if (body === "slow" || body === "broken") {
    intake.refuse(source, body === "slow" ? "body too slow" : "body broken off");
    if (!response.destroyed) answer(response, TOO_SLOW);
    return void request.destroy();
  }
  answer(response, await intake.receive(source, { ...head, body }));
}

const EMPTY = Buffer.alloc(0);

/** A header that came several times is joined by commas, each of them: none is dropped, so none can hide behind another. */
function headersOf({ rawHeaders }: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const [name, value] = [rawHeaders[place]!.toLowerCase(), rawHeaders[place + 1]!];
    const joined = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
    // Assigned, this one name would not become a field.
    if (name === "__proto__")
      Object.defineProperty(headers, name, { value: joined, enumerable: true, configurable: true });
    else headers[name] = joined;
  }
  return headers;
}

/** At most `most` bytes, within the time; what comes after is not read. */
function readBody(
  request: IncomingMessage,
  { headers }: RawRequest,
  most: number,
): Promise<Buffer | "large" | "slow" | "broken"> {
  if (Number(headers["content-length"] ?? 0) > most) return Promise.resolve("large");
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let length = 0;
    const end = (outcome: Buffer | "large" | "slow" | "broken") => {
      clearTimeout(timer);
      request.removeAllListeners("data");
      resolve(outcome);
    };
    const timer = setTimeout(end, BODY_MILLISECONDS, "slow");
    request.on("data", (part: Buffer) => {
      length += part.length;
      if (length > most) end("large");
      else parts.push(part);
    });
    request.on("end", () => end(parts.length === 1 ? parts[0]! : Buffer.concat(parts)));
    request.on("error", () => end("broken"));
    request.on("close", () => end("broken"));
  });
}

function answer(response: ServerResponse, given: Answer): void {
  response.end(begin(response, given));
}

/**
 * Answers a body that is not wanted, then reads on for a while and throws away what comes: a sender whose
 * connection is closed while it writes would hear of a broken connection, and not the answer.
 */
function answerEarly(request: IncomingMessage, response: ServerResponse, given: Answer): void {
  response.write(begin(response, { ...given, headers: { connection: "close" } }));
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MILLISECONDS);
  request.once("end", end).once("close", end).resume();
}

function begin(response: ServerResponse, { status, body, headers }: Answer): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers,
  });
  return text;
}

const tooLarge = (most: number): Answer =>
  failure(
    413,
    "request.large",
    `The body is larger than ${most} bytes.`,
    "Send less, or raise the webhook's maxBytes.",
  );
const TOO_SLOW: Answer = {
  ...failure(408, "request.slow", "The body did not arrive in time.", "Send it again."),
  headers: { connection: "close" },
};
const unready = (): Answer => ({
  ...failure(503, "server.starting", "Daimon is starting; send it again."),
  headers: { "retry-after": "1" },
});

const toResponse = ({ status, body, headers = {} }: Answer) => Response.json(body, { status, headers });

async function sendMetrics(response: ServerResponse, options: WebServerOptions): Promise<void> {
  try {
    const text = await options.metrics()?.();
    if (text === undefined) return answer(response, unready());
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(text);
  } catch {
    answer(response, unready());
  }
}

async function listen(server: Server, options: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const why = taken ? "is taken" : `cannot be listened on: ${error.message}`;
      const next = taken
        ? "Is it Daimon? npx daimon login opens it. Else stop what listens there, or start with PORT=4243."
        : "Set HOST to one of this machine.";
      const code = taken ? "port.taken" : "port.unusable";
      reject(new DaimonError(code, `Port ${options.port} of ${options.host} ${why}.`, next));
    });
    server.listen(options.port, options.host, 1024, resolve);
  });
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 2000).unref();
  });
}
