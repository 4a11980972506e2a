import type { ModelChoice } from "../define/config.ts";
import type { CallUsage } from "./call.ts";

/** What the tokens of one model cost, in US dollars. */
export interface Price {
  /** What the call cost. */
  cost(usage: CallUsage): number;
  /** The most that a call can cost: every token of input at the dearest price. */
  most(inputTokens: number, outputTokens: number): number;
}

/** The demo model costs nothing; a tenth of a small model's price is counted, so that money can be seen to work. */
export const DEMO_PRICE: Price = priceOf({ input: 0.1, output: 0.5, cacheRead: 0.01, cacheWrite: 0.125 });

/** The config's price, else the public list's; `null` when neither knows the model. Reads no network. */
export async function findPrice(choice: ModelChoice, baseUrl: string): Promise<Price | null> {
  if (choice.price) return priceOf(choice.price);
  const { calcPrice } = await import("@pydantic/genai-prices");
  const seller =
    choice.provider === "openai-compatible" ? { providerApiUrl: baseUrl } : { providerId: choice.provider };
  const dollars = (usage: Record<string, number>) => calcPrice(usage, choice.model, seller)?.total_price ?? Number.NaN;
  if (Number.isNaN(dollars({ input_tokens: 1, output_tokens: 1 }))) return null;
  return {
    cost: (usage) =>
      dollars({
        input_tokens: usage.plainTokens + usage.cacheReadTokens + usage.cacheWriteTokens,
        cache_read_tokens: usage.cacheReadTokens,
        cache_write_tokens: usage.cacheWriteTokens,
        output_tokens: usage.outputTokens,
      }),
    most: (inputTokens, outputTokens) => {
      const usage = { input_tokens: inputTokens, output_tokens: outputTokens };
      return Math.max(dollars(usage), dollars({ ...usage, cache_write_tokens: inputTokens }));
    },
  };
}

function priceOf(price: NonNullable<ModelChoice["price"]>): Price {
  const { input, output, cacheRead = input, cacheWrite = input * 1.25 } = price;
  return {
    cost: (usage) =>
      (usage.plainTokens * input +
        usage.cacheReadTokens * cacheRead +
        usage.cacheWriteTokens * cacheWrite +
        usage.outputTokens * output) /
      1e6,
    most: (inputTokens, outputTokens) =>
      (inputTokens * Math.max(input, cacheRead, cacheWrite) + outputTokens * output) / 1e6,
  };
}

/**
 * More tokens than a body of this text has: UTF-8 bytes/3 (measured: English, code, Dutch and JSON have 3.5 to 7
 * bytes a token), bytes/2 of what is not ASCII, and the words that a provider adds itself when there are tools.
 */
export function mostTokens(body: string): number {
  const bytes = Buffer.byteLength(body);
  const ascii = body.length - (body.match(/[^\0-\x7f]/g)?.length ?? 0);
  return Math.ceil(ascii / 3 + (bytes - ascii) / 2) + ADDED_TOKENS;
}

/** https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview#pricing lists 264 to 530. */
const ADDED_TOKENS = 600;
