import type { LanguageModelUsage, ModelMessage, TextStreamPart, ToolSet } from "ai";
import { z } from "zod";
import type { Tool } from "../define/tool.ts";

export type { ModelMessage } from "ai";

/** How long to wait for a model, in milliseconds; the whole is shorter than a reservation's lease. */
export interface Patience {
  /** For the first byte, and between two pieces of an answer. */
  readonly silence: number;
  readonly whole: number;
}

/** One request to one model. */
export interface Call {
  readonly provider: "anthropic" | "openai" | "openai-compatible";
  /** With `/v1`. */
  readonly baseUrl: string;
  readonly key: string | undefined;
  readonly model: string;
  readonly maxOutputTokens: number;
  /** `run/step`; sent as a header, so that whoever stands between can tell calls apart. */
  readonly step: string;
  /** What stays the same from call to call, so that it can be cached. */
  readonly system: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly Tool<never>[];
  /** Is given each piece of the answer's text as it comes. */
  readonly onDelta?: ((text: string) => void) | undefined;
  readonly signal: AbortSignal;
  readonly patience: Patience;
  /** Is given the exact body before it is sent; what it throws stops the call, and is thrown again. */
  readonly beforeSend: (body: string) => Promise<void>;
}

/** Tokens of one call. The three kinds of input do not overlap. */
export interface CallUsage {
  readonly plainTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly outputTokens: number;
}

export interface CallAnswer {
  /** To be appended to the messages as they are, parts that nobody knows included. */
  readonly messages: ModelMessage[];
  readonly text: string;
  /** `invalid` says why a call cannot be executed: no such tool, or an input that is no JSON. */
  readonly toolCalls: { id: string; name: string; input: unknown; invalid?: string }[];
  readonly finish: (typeof FINISHES)[number] | "other";
  /** `null` when the provider reports none, or what no call can use. */
  readonly usage: CallUsage | null;
}

/**
 * Why there is no answer: `unsent` no request could be made of it · `unreachable` nobody was reached · `status` the
 * provider refused · `silent` it took too long · `cut` it broke off · `garbled` it cannot be read · `aborted` by
 * the signal.
 */
export interface CallFailure {
  readonly why: "unsent" | "status" | "unreachable" | "silent" | "cut" | "garbled" | "aborted";
  readonly status?: number;
  /** Seconds, of a refusal that names them. */
  readonly retryAfter?: number | undefined;
  /** What the provider or the network said. */
  readonly said: string;
  /** False when the provider has certainly not worked on it, so that it costs nothing. */
  readonly maybePaid: boolean;
}

/** A beginning shorter than this, in bytes, is cached by no model (1,024 tokens). */
const WORTH_CACHING = 4096;

/** Network errors after which nobody can have worked on the request. */
const NOT_REACHED =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)UNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|.*CERT.*)$/;

/** Sends one request and reads the answer; never tries twice. Throws what `beforeSend` threw. */
export async function callModel(call: Call): Promise<{ answer: CallAnswer } | { failure: CallFailure }> {
  const { streamText } = await loadLibrary();
  const watch = watchFetch(call);
  const model = await openModel(call, watch.fetch);
  const prepared = await prepare(call);
  const late = new AbortController();
  const whole = setTimeout(() => late.abort(), call.patience.whole);
  const silence = setTimeout(() => late.abort(), call.patience.silence);
  let failed: unknown;
  try {
    const result = streamText({
      model,
      ...prepared,
      maxOutputTokens: call.maxOutputTokens,
      maxRetries: 0,
      abortSignal: AbortSignal.any([call.signal, late.signal]),
      headers: { "x-daimon-step": encodeURI(call.step.toWellFormed()) },
      onError: () => {},
    });
    const answer = await readAnswer(result.stream, call, () => silence.refresh());
    const { messages } = await result.response;
    return { answer: { ...answer, messages: messages.filter((each) => each.role === "assistant") } };
  } catch (error) {
    failed = error;
  } finally {
    clearTimeout(whole);
    clearTimeout(silence);
  }
  if (watch.stopped) throw watch.stopped.error;
  return { failure: explain(failed, watch, call.signal.aborted, late.signal.aborted) };
}

/** Throws the error that the stream carries, or that it broke off: only a whole answer has a reason to end. */
async function readAnswer(
  stream: AsyncIterable<TextStreamPart<ToolSet>>,
  { onDelta, provider }: Call,
  heard: () => void,
): Promise<Omit<CallAnswer, "messages">> {
  const toolCalls: CallAnswer["toolCalls"] = [];
  let text = "";
  let end: Pick<CallAnswer, "finish" | "usage"> | undefined;
  for await (const part of stream) {
    heard();
    // Kinds of events come to be: https://docs.anthropic.com/en/docs/build-with-claude/streaming
    const unheard = part.type === "error" && (part.error as Error | null)?.name === "AI_TypeValidationError";
    if (part.type === "error" && !(unheard && provider === "anthropic")) throw part.error;
    if (part.type === "text-delta") {
      text += part.text;
      onDelta?.(part.text);
    }
    if (part.type === "tool-call") {
      const { toolCallId: id, toolName: name, input } = part;
      toolCalls.push({ id, name, input, ...(part.invalid ? { invalid: String(part.error) } : {}) });
    }
    const whole = part.type === "finish-step" && ![undefined, "error"].includes(part.rawFinishReason);
    if (whole) {
      end = { finish: finishOf(part.finishReason), usage: usageOf(part.usage) };
    }
  }
  if (!end) throw new Error("it ended too early");
  // The longest answer ends anywhere: what can be read of the call may still be its half.
  const last = end.finish === "length" && toolCalls.at(-1);
  if (last) last.invalid = "it was cut, because the answer reached its longest. Say less at a time.";
  return { text, toolCalls, ...end };
}

type Watch = ReturnType<typeof watchFetch>;

/** The fetch that the provider's package uses: shows the body before it is sent, remembers what came back. */
function watchFetch(call: Call) {
  const watch = {
    /** True once the body is on its way. */
    sent: false,
    status: 0,
    /** What came instead of a stream. */
    refusal: "",
    retryAfter: undefined as number | undefined,
    networkError: undefined as unknown,
    stopped: undefined as { error: unknown } | undefined,
    async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
      try {
        await call.beforeSend(String(init?.body));
      } catch (error) {
        watch.stopped = { error };
        throw error;
      }
      watch.sent = true;
      try {
        const response = await fetch(input, { ...init, redirect: "manual" });
        watch.status = response.status;
        const { headers } = response;
        watch.retryAfter = Number(headers.get("retry-after")) || undefined;
        if (!response.ok || /html|json/.test(headers.get("content-type") ?? "")) {
          watch.refusal = headers.get("location") ?? (await response.clone().text());
        }
        return response;
      } catch (error) {
        watch.networkError = error;
        throw error;
      }
    },
  };
  return watch;
}

function explain(failed: unknown, watch: Watch, aborted: boolean, late: boolean): CallFailure {
  const { status, networkError, retryAfter } = watch;
  if (status !== 0 && (status < 200 || status > 299)) {
    return { why: "status", status, retryAfter, said: refusalOf(watch.refusal), maybePaid: false };
  }
  const maybePaid = watch.sent;
  if (aborted) return { why: "aborted", said: "", maybePaid };
  if (late) return { why: "silent", said: "", maybePaid };
  if (networkError instanceof Error) {
    const { cause } = networkError;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const said = (cause instanceof Error && cause.message) || code || networkError.message;
    return { why: "unreachable", said, maybePaid: !NOT_REACHED.test(code) };
  }
  if (watch.refusal) return { why: "garbled", said: refusalOf(watch.refusal), maybePaid };
  const said = failed instanceof Error ? failed.message : JSON.stringify(failed ?? "");
  if (!watch.sent) return { why: "unsent", said, maybePaid };
  const garbled = failed instanceof Error && /JSON|validation|parse/i.test(`${failed.name} ${said}`);
  return { why: garbled ? "garbled" : "cut", said, maybePaid };
}

/** The sentence in an error's body, as Anthropic and OpenAI both nest it; else its beginning. */
function refusalOf(body: string): string {
  try {
    const { error } = JSON.parse(body);
    return String(error?.message ?? error ?? body).slice(0, 500);
  } catch {
    return body.slice(0, 200);
  }
}

const FINISHES = ["stop", "tool-calls", "length", "content-filter"] as const;

function finishOf(reason: string): CallAnswer["finish"] {
  return FINISHES.find((one) => one === reason) ?? "other";
}

function usageOf({ inputTokens, outputTokens, inputTokenDetails }: LanguageModelUsage): CallUsage | null {
  if (!isCount(inputTokens) || !isCount(outputTokens)) return null;
  const { cacheReadTokens = 0, cacheWriteTokens = 0 } = inputTokenDetails;
  if (!isCount(cacheReadTokens) || !isCount(cacheWriteTokens)) return null;
  const plainTokens = Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens);
  return { plainTokens, cacheReadTokens, cacheWriteTokens, outputTokens };
}

const isCount = (tokens: number | undefined): tokens is number => Number.isSafeInteger(tokens) && tokens! >= 0;

let library: Promise<typeof import("ai")> | undefined;

/** The model library, imported at first use: it takes a tenth of a second that start-up need not spend. */
export function loadLibrary(): Promise<typeof import("ai")> {
  library ??= import("ai").then((ai) => {
    // A model's name instead of a model would be sent to a gateway of the library's maker.
    globalThis.AI_SDK_DEFAULT_PROVIDER = new Proxy({} as NonNullable<typeof globalThis.AI_SDK_DEFAULT_PROVIDER>, {
      get: () => {
        throw new Error("Models are objects here, never names.");
      },
    });
    globalThis.AI_SDK_LOG_WARNINGS = false;
    return ai;
  });
  return library;
}

async function openModel(call: Call, fetch: typeof globalThis.fetch) {
  const options = { baseURL: call.baseUrl, fetch };
  if (call.provider === "anthropic") {
    const { createAnthropic } = await import("@ai-sdk/anthropic");
    return createAnthropic({ ...options, apiKey: call.key ?? "none" })(call.model);
  }
  if (call.provider === "openai") {
    // Chat completions: nothing is kept on the far side, and every server that takes OPENAI_BASE_URL speaks it.
    const { createOpenAI } = await import("@ai-sdk/openai");
    return createOpenAI({ ...options, apiKey: call.key ?? "none" }).chat(call.model);
  }
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  return createOpenAICompatible({
    ...options,
    name: "compatible",
    includeUsage: true,
    ...(call.key === undefined ? {} : { apiKey: call.key }),
  })(call.model);
}

/** System, messages and tools as the library wants them; on Anthropic with marks for its cache. */
async function prepare(call: Call) {
  const { jsonSchema, tool } = await loadLibrary();
  const schemas = call.tools.map((each) => schemaOf(each));
  const tools: ToolSet = Object.fromEntries(
    call.tools.map((each, index) => [
      each.name,
      tool({ description: each.description, inputSchema: jsonSchema(schemas[index]!) }),
    ]),
  );
  const messages = [...call.messages];
  const anthropic = call.provider === "anthropic";
  const mark = { providerOptions: { anthropic: { cacheControl: { type: "ephemeral" as const } } } };
  const stable = Buffer.byteLength(call.system + JSON.stringify(schemas));
  const last = messages.at(-1);
  // In the middle of the loop the next call will send the same again: let it be read from the cache.
  if (anthropic && last?.role === "tool" && stable + JSON.stringify(messages).length >= WORTH_CACHING) {
    messages[messages.length - 1] = { ...last, ...mark };
  }
  const instructions = {
    role: "system" as const,
    content: call.system,
    ...(anthropic && stable >= WORTH_CACHING ? mark : {}),
  };
  return {
    instructions: call.system === "" ? [] : [instructions],
    messages,
    tools,
    providerOptions: anthropic ? { anthropic: { toolStreaming: false } } : {},
  };
}

const known = new WeakMap<Tool<never>, Record<string, unknown>>();

/** A tool's input as JSON Schema, without the dialect's address, which costs tokens and tells nothing. */
function schemaOf(tool: Tool<never>): Record<string, unknown> {
  const found = known.get(tool);
  if (found) return found;
  const { $schema, ...schema } = z.toJSONSchema(tool.input, { io: "input", unrepresentable: "any" });
  known.set(tool, schema);
  return schema;
}
