import { z } from "zod";

/**
 * What Anthropic's Messages API takes, as strictly as the real one: a field it does not know is refused.
 * https://docs.anthropic.com/en/api/messages, and the types of the vendor's own SDK, which a test compares.
 */
const cacheControl = z.strictObject({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).optional() }).nullish();
const link = z.strictObject({ type: z.literal("url"), url: z.string() });
const encoded = <const Kind extends string>(kinds: readonly Kind[]) =>
  z.strictObject({ type: z.literal("base64"), media_type: z.enum(kinds), data: z.string() });
const plain = z.strictObject({ type: z.literal("text"), media_type: z.literal("text/plain"), data: z.string() });

const text = z.strictObject({ type: z.literal("text"), text: z.string(), cache_control: cacheControl });
const image = z.strictObject({
  type: z.literal("image"),
  source: z.union([link, encoded(["image/jpeg", "image/png", "image/gif", "image/webp"])]),
  cache_control: cacheControl,
});
const document = z.strictObject({
  type: z.literal("document"),
  source: z.union([link, encoded(["application/pdf"]), plain]),
  title: z.string().nullish(),
  context: z.string().nullish(),
  cache_control: cacheControl,
});
const toolUse = z.strictObject({
  type: z.literal("tool_use"),
  id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
  cache_control: cacheControl,
});
const toolResult = z.strictObject({
  type: z.literal("tool_result"),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(z.discriminatedUnion("type", [text, image, document]))]).optional(),
  is_error: z.boolean().optional(),
  cache_control: cacheControl,
});
const thinking = z.strictObject({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() });
const redacted = z.strictObject({ type: z.literal("redacted_thinking"), data: z.string() });

const block = z.discriminatedUnion("type", [text, image, document, toolUse, toolResult, thinking, redacted]);

const tool = z.strictObject({
  type: z.literal("custom").optional(),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/),
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.literal("object") }),
  strict: z.boolean().optional(),
  eager_input_streaming: z.boolean().nullish(),
  cache_control: cacheControl,
});

const body = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().min(1),
  messages: z
    .array(z.strictObject({ role: z.enum(["user", "assistant"]), content: z.union([z.string(), z.array(block)]) }))
    .min(1),
  system: z.union([z.string(), z.array(text)]).optional(),
  tools: z.array(tool).optional(),
  tool_choice: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("auto"), disable_parallel_tool_use: z.boolean().optional() }),
      z.strictObject({ type: z.literal("any"), disable_parallel_tool_use: z.boolean().optional() }),
      z.strictObject({ type: z.literal("tool"), name: z.string(), disable_parallel_tool_use: z.boolean().optional() }),
      z.strictObject({ type: z.literal("none") }),
    ])
    .optional(),
  cache_control: cacheControl,
  metadata: z.strictObject({ user_id: z.string().max(256).nullish() }).optional(),
  service_tier: z.enum(["auto", "standard_only"]).optional(),
  stop_sequences: z.array(z.string()).optional(),
  stream: z.boolean().optional(),
  temperature: z.number().min(0).max(1).optional(),
  thinking: z
    .union([
      z.strictObject({ type: z.enum(["disabled", "adaptive"]) }),
      z.strictObject({ type: z.literal("enabled"), budget_tokens: z.int().min(1024) }),
    ])
    .optional(),
  top_k: z.int().optional(),
  top_p: z.number().optional(),
});

export type MessagesBody = z.infer<typeof body>;
export type Block = z.infer<typeof block>;
/** A message whose content is always a list; neighbours of one role are one message, as the API combines them. */
export interface Message {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

/** The body, and its messages combined; or the sentence with which Anthropic would refuse it. */
export function checkMessagesBody(value: unknown): { body: MessagesBody; messages: Message[] } | { problem: string } {
  const parsed = body.safeParse(value);
  if (!parsed.success) return { problem: sentence(parsed.error.issues[0]!) };
  const messages = combine(parsed.data.messages);
  const problem = toolNames(parsed.data.tools ?? []) ?? turns(messages) ?? pairs(messages) ?? cacheMarks(parsed.data);
  return problem ? { problem } : { body: parsed.data, messages };
}

function sentence(issue: z.core.$ZodIssue): string {
  const at = (key?: PropertyKey) => [...issue.path, ...(key === undefined ? [] : [key])].join(".") || "body";
  if (issue.code === "unrecognized_keys") return `${at(issue.keys[0])}: Extra inputs are not permitted`;
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) return `${at()}: Field required`;
  if (issue.code === "invalid_union" && issue.errors[1]?.[0]) {
    const inner = issue.errors[1][0];
    return sentence({ ...inner, path: [...issue.path, ...inner.path] } as z.core.$ZodIssue);
  }
  return `${at()}: ${issue.message}`;
}

function combine(messages: MessagesBody["messages"]): Message[] {
  const combined: { role: Message["role"]; content: Block[] }[] = [];
  for (const { role, content } of messages) {
    const blocks: Block[] = typeof content === "string" ? [{ type: "text", text: content }] : content;
    if (combined.at(-1)?.role === role) combined.at(-1)!.content.push(...blocks);
    else combined.push({ role, content: [...blocks] });
  }
  return combined;
}

function toolNames(tools: readonly { name: string }[]): string | undefined {
  if (new Set(tools.map((each) => each.name)).size < tools.length) return "tools: Tool names must be unique.";
}

function turns(messages: readonly Message[]): string | undefined {
  if (messages[0]!.role !== "user") return 'messages: first message must use the "user" role';
  for (const [index, message] of messages.entries()) {
    const last = index === messages.length - 1 && message.role === "assistant";
    if (message.content.length === 0 && !last) {
      return `messages.${index}: all messages must have non-empty content except for the optional final assistant message`;
    }
    for (const each of message.content) {
      if (each.type === "text" && each.text.trim() === "") {
        return each.text === ""
          ? "messages: text content blocks must be non-empty"
          : "messages: text content blocks must contain non-whitespace text";
      }
    }
    const end = message.content.at(-1);
    if (last && end?.type === "text" && end.text !== end.text.trimEnd()) {
      return "messages: final assistant content cannot end with trailing whitespace";
    }
  }
}

/** Each `tool_use` is answered at the very start of the next message, and nothing else is. */
function pairs(messages: readonly Message[]): string | undefined {
  let asked: string[] = [];
  for (const [index, message] of messages.entries()) {
    const answered = message.content.flatMap((each) => (each.type === "tool_result" ? [each.tool_use_id] : []));
    const stray = answered.find((id) => !asked.includes(id));
    if (stray !== undefined) {
      return `messages.${index}.content.${message.content.findIndex((each) => each.type === "tool_result" && each.tool_use_id === stray)}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`;
    }
    const first = message.content.slice(0, answered.length);
    const open = asked.filter((id) => !answered.includes(id));
    if (open.length > 0 || first.some((each) => each.type !== "tool_result")) {
      const ids = (open.length > 0 ? open : asked).join(", ");
      return `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${ids}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`;
    }
    if (new Set(answered).size < answered.length) {
      return `messages.${index}: each tool_use must have a single result. Found multiple \`tool_result\` blocks with the same id`;
    }
    asked = message.content.flatMap((each) => (each.type === "tool_use" ? [each.id] : []));
    if (asked.length > 0 && message.role === "user")
      return `messages.${index}: \`tool_use\` blocks can only be in \`assistant\` messages`;
    if (new Set(asked).size < asked.length) return `messages.${index}: \`tool_use\` ids must be unique`;
  }
  if (asked.length > 0) {
    return `messages.${messages.length - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${asked.join(", ")}.`;
  }
}

function cacheMarks(value: MessagesBody): string | undefined {
  const marks = JSON.stringify(value).split('"cache_control":{').length - 1;
  if (marks > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`;
}
