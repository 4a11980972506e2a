import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { readEnvironment } from "../base/environment.ts";
import { attempt } from "../base/errors.ts";
import type { Failure } from "../define/run.ts";
import { CliError, EXIT } from "./exit.ts";

/** Where the running Daimon is, and the key to it. */
interface Server {
  readonly url: string;
  readonly token: string | undefined;
  /** How to say that nothing answers there. */
  readonly silent: CliError;
}

/**
 * What `DAIMON_URL` and `DAIMON_TOKEN` name, else the server of this home, which writes its address and a token
 * with all scopes into `<home>/server.json` (0600) while it runs. Throws `server.down`.
 */
export function findServer(): Server {
  const { home, values } = readEnvironment();
  if (values.DAIMON_URL) {
    const url = values.DAIMON_URL.replace(/\/+$/, "");
    const next = "Is DAIMON_URL right, like http://127.0.0.1:4242, and does Daimon run there?";
    const silent = new CliError(EXIT.failed, "server.unreachable", `No Daimon answers at ${url}.`, next);
    if (!/^https?:/.test(url) || !URL.canParse(url)) throw silent;
    return { url, token: values.DAIMON_TOKEN, silent };
  }
  const silent = new CliError(EXIT.failed, "server.down", `Daimon is not running (${home}).`, "npm start");
  const file = join(home, "server.json");
  if (!existsSync(file)) throw silent;
  const { url, token } = parse<{ url: string; token: string }>(readFileSync(file, "utf8"), silent);
  return { url, token: values.DAIMON_TOKEN || token, silent };
}

/** One request to the API. Its answer is trusted to have the shape of docs/reference/api.md. */
export async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await request(method, path, { body });
  const text = await textOf(response);
  return (text ? parse(text, findServer().silent) : undefined) as Answer;
}

/** What is no JSON is of another program, or half written. */
function parse<Value>(text: string, silent: CliError): Value {
  return attempt(
    () => JSON.parse(text) as Value,
    () => silent,
  );
}

/** The server-sent events of an answer (first `open`, by us), until it ends or `signal` aborts; `data` is JSON. */
export async function* stream(
  method: string,
  path: string,
  options: { body?: unknown; signal: AbortSignal },
): AsyncGenerator<{ event: string; data: unknown }> {
  try {
    const response = await request(method, path, options);
    yield { event: "open", data: {} };
    response.setEncoding("utf8");
    let rest = "";
    for await (const chunk of response) {
      // https://html.spec.whatwg.org/multipage/server-sent-events.html, as our own server writes it.
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block);
        const data = /^data: (.*)$/m.exec(block);
        if (data) yield { event: event?.[1] ?? "message", data: JSON.parse(data[1]!) };
      }
    }
  } catch (error) {
    // A connection that breaks is an end too: whoever reads knows whether anything is missing.
    if (error instanceof CliError && !options.signal.aborted) throw error;
  }
}

/** Over node:http, not fetch: it starts 25 ms sooner, and no timer ends a quiet stream. Throws what is refused. */
async function request(
  method: string,
  path: string,
  options: { body?: unknown; signal?: AbortSignal },
): Promise<IncomingMessage> {
  const { url, token, silent } = findServer();
  const http = url.startsWith("https:") ? await import("node:https") : await import("node:http");
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) } : {}),
    };
    const signal = options.signal ? { signal: options.signal } : {};
    const sent = http.request(new URL(url + path), { method, headers, agent: false, ...signal });
    sent.on("response", resolve).on("error", () => reject(silent));
    sent.end(body);
  });
  if (response.statusCode! >= 400) throw refused(response.statusCode!, await textOf(response), method + path);
  return response;
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

const EXITS: Record<number, number> = { 400: EXIT.usage, 401: EXIT.login, 403: EXIT.login, 404: EXIT.missing };

function refused(httpStatus: number, text: string, what: string): CliError {
  let failure: Failure = { code: `http.${httpStatus}`, message: `${what} answered ${httpStatus}.` };
  try {
    failure = (JSON.parse(text) as { error?: Failure }).error ?? failure;
  } catch {} // Not our JSON but a proxy's page: then the status must say it.
  const exit = EXITS[httpStatus] ?? EXIT.failed;
  const token = "Set DAIMON_TOKEN to what `daimon token create` prints there.";
  return new CliError(exit, failure.code, failure.message, httpStatus === 401 ? token : failure.next);
}
