import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";

const call = z.strictObject({
  id: z.string(),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});
const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.enum(["system", "developer"]), content: z.string() }),
  z.strictObject({ role: z.literal("user"), content: z.string().min(1) }),
  z.strictObject({
    role: z.literal("assistant"),
    content: z.string().nullish(),
    tool_calls: z.array(call).optional(),
  }),
  z.strictObject({ role: z.literal("tool"), content: z.string(), tool_call_id: z.string() }),
]);

/** What a text-only chat completion takes: https://platform.openai.com/docs/api-reference/chat/create */
const completion = z.strictObject({
  model: z.string(),
  messages: z.array(message).min(1),
  max_tokens: z.int().optional(),
  max_completion_tokens: z.int().optional(),
  tools: z
    .array(
      z.strictObject({
        type: z.literal("function"),
        function: z.strictObject({
          name: z.string(),
          description: z.string().optional(),
          parameters: z.looseObject({ type: z.literal("object") }),
          strict: z.boolean().optional(),
        }),
      }),
    )
    .optional(),
  tool_choice: z.literal("auto").optional(),
  stream: z.literal(true),
  stream_options: z.strictObject({ include_usage: z.literal(true) }).optional(),
});

export type CompletionRequest = z.infer<typeof completion>;

export interface CompletionReply {
  readonly text?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly input: unknown }[];
  /** Default: 100 in, 10 out; `null`: the server tells none. */
  readonly usage?: { readonly input: number; readonly cached: number; readonly output: number } | null;
  readonly status?: number;
  /** Default: `tool_calls` with tool calls, else `stop`. */
  readonly finish?: string;
  /** Sent instead of a stream, as this type. */
  readonly whole?: { readonly type: string; readonly body: string };
}

/** A server of OpenAI's chat completions (streamed) that plays `script`. `url` ends in `/v1`. */
export async function startOpenAIServer(script: (request: CompletionRequest) => CompletionReply): Promise<{
  url: string;
  requests: { headers: Record<string, unknown>; body: CompletionRequest; bytes: number }[];
  stop(): Promise<void>;
}> {
  const requests: { headers: Record<string, unknown>; body: CompletionRequest; bytes: number }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const parsed = completion.safeParse(JSON.parse(raw.toString()));
    const refuse = (status: number, text: string) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: text, type: "invalid_request_error", code: null } }));
    };
    if (request.url !== "/v1/chat/completions") return refuse(404, `no ${request.url}`);
    if (!parsed.success) return refuse(400, z.prettifyError(parsed.error));
    requests.push({ headers: request.headers, body: parsed.data, bytes: raw.length });
    const reply = script(parsed.data);
    if (reply.status) return refuse(reply.status, `scripted ${reply.status}`);
    if (reply.whole) return response.writeHead(200, { "content-type": reply.whole.type }).end(reply.whole.body);

    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (choices: object[], more: object = {}) =>
      response.write(
        `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: parsed.data.model, choices, ...more })}\n\n`,
      );
    const delta = (content: object, finish: string | null = null) =>
      send([{ index: 0, delta: content, finish_reason: finish }]);
    delta({ role: "assistant", content: "" });
    for (const word of reply.text?.match(/\S+\s*/g) ?? []) delta({ content: word });
    for (const [index, { name, input }] of (reply.toolCalls ?? []).entries()) {
      const json = JSON.stringify(input);
      delta({
        tool_calls: [{ index, id: `call_${index}`, type: "function", function: { name, arguments: "" } }],
      });
      delta({ tool_calls: [{ index, function: { arguments: json.slice(0, 5) } }] });
      delta({ tool_calls: [{ index, function: { arguments: json.slice(5) } }] });
    }
    delta({}, reply.finish ?? (reply.toolCalls ? "tool_calls" : "stop"));
    const { input, cached, output } = reply.usage ?? { input: 100, cached: 0, output: 10 };
    if (reply.usage !== null) {
      send([], {
        usage: {
          prompt_tokens: input,
          completion_tokens: output,
          total_tokens: input + output,
          prompt_tokens_details: { cached_tokens: cached },
        },
      });
    }
    response.end("data: [DONE]\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
