import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Block, checkMessagesBody, type Message, type MessagesBody } from "./rules.ts";

/** What a brain is asked: the request's body, parsed, checked and with neighbouring messages combined. */
export interface ModelServerRequest {
  readonly model: string;
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: NonNullable<MessagesBody["tools"]>;
  /** How many well-formed requests came before this one. */
  readonly index: number;
  /** `run/step`, when the caller says it. */
  readonly step: string | null;
}

/** Tokens as Anthropic reports them: the three kinds of input add up to the whole. */
export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
}

/**
 * What goes wrong on purpose: an HTTP error; `refuse` the connection is closed unanswered; `cut` it is closed in
 * the middle of the stream; `end` the stream ends early as if all were well; `silence` nothing comes after the
 * beginning; `error` Anthropic's `overloaded_error` in the middle of the stream; `json` a tool's input is no JSON.
 */
export type Fault =
  | { readonly status: number; readonly message?: string; readonly retryAfter?: number }
  | "refuse"
  | "cut"
  | "end"
  | "silence"
  | "error"
  | "json";

/** What a brain answers: thinking, then text, then tool calls. */
export interface Reply {
  readonly thinking?: string;
  readonly text?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly input: unknown; readonly id?: string }[];
  /** Default: `tool_use` with tool calls, else `end_turn`. */
  readonly stop?: "end_turn" | "tool_use" | "max_tokens" | "refusal";
  /** Default: bytes/4 of what was sent, with the cache counted as Anthropic does. */
  readonly usage?: Partial<Usage>;
  /** Milliseconds before the first byte. */
  readonly delay?: number;
  /** Milliseconds between two words. Default 0. */
  readonly pace?: number;
  readonly fault?: Fault;
}

export type Brain = (request: ModelServerRequest) => Reply | Promise<Reply>;

/** One request as it came, and what became of it. */
export interface RecordedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The exact bytes, as text. */
  readonly body: string;
  readonly step: string | null;
  /** The answer's status; 0 while it is not decided, or when the connection was closed unanswered. */
  status: number;
}

export interface ModelServer {
  /** Without `/v1`, as `ANTHROPIC_BASE_URL` wants it. */
  readonly url: string;
  readonly requests: RecordedRequest[];
  /** How many calls the real API would have charged for. */
  paidCalls(): number;
  stop(): Promise<void>;
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};
const LARGEST = 32 * 1024 * 1024;

/**
 * A model server on loopback that speaks Anthropic's Messages protocol and answers what `brain` says. The demo
 * model and every test stand on it. `keep`: how many requests it remembers (default all).
 */
export async function startModelServer(options: { brain: Brain; keep?: number }): Promise<ModelServer> {
  const requests: RecordedRequest[] = [];
  const seen = new Set<string>();
  let count = 0;
  let paid = 0;

  const server = createServer(async (request, response) => {
    const body = await readBody(request);
    const step = request.headers["x-daimon-step"];
    const record: RecordedRequest = {
      url: request.url ?? "",
      headers: request.headers,
      body: body ?? "",
      step: typeof step === "string" ? decodeURI(step) : null,
      status: 0,
    };
    requests.push(record);
    if (options.keep !== undefined && requests.length > options.keep) requests.shift();
    const refuse = (status: number, message: string, retryAfter?: number) => {
      record.status = status;
      sendError(response, status, message, retryAfter);
    };

    if (request.method !== "POST" || new URL(record.url, "http://server").pathname !== "/v1/messages") {
      return refuse(404, "Not Found");
    }
    const checked = check(request, body);
    if ("problem" in checked) return refuse(checked.status, checked.problem);
    const asked: ModelServerRequest = {
      model: checked.body.model,
      system: textOf(checked.body.system),
      messages: checked.messages,
      tools: checked.body.tools ?? [],
      index: count++,
      step: record.step,
    };
    let reply: Reply;
    try {
      reply = await options.brain(asked);
    } catch (error) {
      return refuse(400, `The script failed: ${error}`);
    }
    if (reply.delay) await pause(reply.delay);
    if (reply.fault === "refuse") return void response.destroy();
    if (typeof reply.fault === "object") {
      const { status, message, retryAfter } = reply.fault;
      return refuse(status, message ?? (status === 529 ? "Overloaded" : `Scripted ${status}`), retryAfter);
    }
    record.status = 200;
    paid++; // once a message has begun, the real API charges
    const answer = { reply, model: checked.body.model, usage: countTokens(checked, reply, seen) };
    if (checked.body.stream) await sendStream(response, answer);
    else sendWhole(response, answer);
  });

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    paidCalls: () => paid,
    async stop() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= LARGEST) chunks.push(chunk);
  }
  return size <= LARGEST ? Buffer.concat(chunks).toString("utf8") : undefined;
}

type Checked = { body: MessagesBody; messages: Message[] };

function check(request: IncomingMessage, body: string | undefined): Checked | { status: number; problem: string } {
  const { authorization, ...headers } = request.headers;
  if (!headers["x-api-key"] && !authorization) return { status: 401, problem: "x-api-key header is required" };
  if (!headers["anthropic-version"]) return { status: 400, problem: "anthropic-version: header is required" };
  if (body === undefined) return { status: 413, problem: "Request exceeds the maximum allowed number of bytes." };
  if (!headers["content-type"]?.startsWith("application/json"))
    return { status: 400, problem: "content-type must be application/json" };
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { status: 400, problem: "The request body is not valid JSON" };
  }
  const checked = checkMessagesBody(value);
  return "problem" in checked ? { status: 400, problem: checked.problem } : checked;
}

/** The text of a system prompt, a message's content or a tool's result. */
export function textOf(content: string | readonly { type: string }[] | undefined): string {
  if (content === undefined || typeof content === "string") return content ?? "";
  return content.flatMap((each) => ("text" in each ? [String(each.text)] : [])).join("\n");
}

/**
 * bytes/4, split as Anthropic splits it: tools, system and messages are one line of blocks; up to the last mark
 * they are written to the cache, less the longest marked beginning that was seen before, which is read from it.
 * https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
 */
function countTokens({ body, messages }: Checked, reply: Reply, seen: Set<string>): Usage {
  const system: readonly object[] =
    typeof body.system === "string" ? [{ type: "text", text: body.system }] : (body.system ?? []);
  const line: object[] = [...(body.tools ?? []), ...system, ...messages.flatMap((each) => each.content)];
  const hash = createHash("sha256");
  let bytes = 0;
  let marked = 0;
  let read = 0;
  for (const piece of line) {
    const { cache_control, ...rest } = piece as Block & { cache_control?: object };
    const json = JSON.stringify(rest);
    hash.update(json);
    bytes += Buffer.byteLength(json);
    if (!cache_control) continue;
    marked = bytes;
    const prefix = hash.copy().digest("hex");
    if (seen.has(prefix)) read = bytes;
    else if (seen.size < 10_000) seen.add(prefix);
  }
  const written = (reply.text ?? "").length + JSON.stringify(reply.toolCalls ?? []).length;
  return {
    input_tokens: Math.ceil((bytes - marked) / 4),
    cache_creation_input_tokens: Math.ceil((marked - read) / 4),
    cache_read_input_tokens: Math.ceil(read / 4),
    output_tokens: Math.ceil(written / 4),
    ...reply.usage,
  };
}

interface AnswerParts {
  readonly reply: Reply;
  readonly model: string;
  readonly usage: Usage;
}

function sendError(response: ServerResponse, status: number, message: string, retryAfter?: number): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "request-id": newName("req"),
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
  const type = ERROR_TYPES[status] ?? "api_error";
  response.end(JSON.stringify({ type: "error", error: { type, message }, request_id: newName("req") }));
}

function sendWhole(response: ServerResponse, { reply, model, usage }: AnswerParts): void {
  const message = JSON.stringify({
    ...emptyMessage(model, usage),
    content: contentOf(reply),
    stop_reason: stopOf(reply),
    usage: fullUsage(usage),
  });
  const sent = reply.fault === undefined ? message : message.slice(0, message.length / 2);
  response.writeHead(200, { "content-type": "application/json", "request-id": newName("req") });
  if (reply.fault === "silence") return void response.write(sent);
  if (reply.fault === "cut") return void response.write(sent, () => response.destroy());
  response.end(sent);
}

/** https://docs.anthropic.com/en/docs/build-with-claude/streaming */
async function sendStream(response: ServerResponse, { reply, model, usage }: AnswerParts): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "request-id": newName("req"),
  });
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  send("message_start", { message: emptyMessage(model, { ...usage, output_tokens: 1 }) });
  if (reply.fault === "silence") return;

  const content = contentOf(reply);
  for (const [index, block] of content.entries()) {
    const last = index === content.length - 1;
    const half = last && (reply.fault === "cut" || reply.fault === "end" || reply.fault === "error");
    const { empty, deltas } = takeApart(block);
    send("content_block_start", { index, content_block: empty });
    if (index === 0) send("ping", {});
    for (const delta of half ? deltas.slice(0, Math.ceil(deltas.length / 2)) : deltas) {
      send("content_block_delta", { index, delta });
      if (reply.pace) await pause(reply.pace);
    }
    if (half && reply.fault === "cut") return void response.write("", () => response.destroy());
    if (half && reply.fault === "error") {
      send("error", { error: { type: "overloaded_error", message: "Overloaded" } });
    }
    if (half) return void response.end();
    if (last && reply.fault === "json") {
      send("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: '{"broken' } });
    }
    send("content_block_stop", { index });
  }
  send("message_delta", { delta: { stop_reason: stopOf(reply), stop_sequence: null }, usage });
  send("message_stop", {});
  response.end();
}

type AnswerBlock =
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "text"; text: string }
  | { type: "tool_use"; id: string; name: string; input: unknown };

function contentOf({ thinking, text, toolCalls = [] }: Reply): AnswerBlock[] {
  return [
    ...(thinking ? [{ type: "thinking" as const, thinking, signature: newName("sig") }] : []),
    ...(text ? [{ type: "text" as const, text }] : []),
    ...toolCalls.map(({ id = newName("toolu"), name, input }) => ({ type: "tool_use" as const, id, name, input })),
  ];
}

/** A block as it begins, and the pieces that make it whole. */
function takeApart(block: AnswerBlock): { empty: object; deltas: object[] } {
  const words = (text: string) => text.match(/\S+\s*|\s+/g) ?? [];
  if (block.type === "text") {
    return {
      empty: { ...block, text: "" },
      deltas: words(block.text).map((text) => ({ type: "text_delta", text })),
    };
  }
  if (block.type === "thinking") {
    const deltas = words(block.thinking).map((thinking) => ({ type: "thinking_delta", thinking }));
    return {
      empty: { ...block, thinking: "", signature: "" },
      deltas: [...deltas, { type: "signature_delta", signature: block.signature }],
    };
  }
  const pieces = ["", ...(JSON.stringify(block.input).match(/.{1,24}/gs) ?? [])];
  return {
    empty: { ...block, input: {} },
    deltas: pieces.map((partial_json) => ({ type: "input_json_delta", partial_json })),
  };
}

function emptyMessage(model: string, usage: Usage) {
  return {
    id: newName("msg"),
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: fullUsage(usage),
  };
}

function fullUsage(usage: Usage) {
  return {
    ...usage,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cache_creation_input_tokens,
      ephemeral_1h_input_tokens: 0,
    },
    service_tier: "standard",
  };
}

const stopOf = (reply: Reply) => reply.stop ?? (reply.toolCalls?.length ? "tool_use" : "end_turn");

const newName = (prefix: string) => `${prefix}_01${randomBytes(11).toString("hex")}`;
