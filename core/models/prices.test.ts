import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelChoice } from "../define/config.ts";
import { findPrice, mostTokens } from "./prices.ts";

const million = { plainTokens: 1e6, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0 };

async function priceOf(choice: Partial<ModelChoice>, baseUrl = "") {
  const price = await findPrice({ provider: "anthropic", model: "claude-haiku-4-5", ...choice }, baseUrl);
  assert.ok(price);
  return price;
}

const near = (value: number, wanted: number) => assert.ok(Math.abs(value - wanted) < 1e-9, `${value} is not ${wanted}`);

test("known models cost what their makers' lists say", async () => {
  const usage = { plainTokens: 1000, cacheReadTokens: 2000, cacheWriteTokens: 3000, outputTokens: 400 };
  near((await priceOf({})).cost(usage), (1000 * 1 + 2000 * 0.1 + 3000 * 1.25 + 400 * 5) / 1e6);
  near(
    (await priceOf({ model: "claude-sonnet-5" })).cost(usage),
    (1000 * 2 + 2000 * 0.2 + 3000 * 2.5 + 400 * 10) / 1e6,
  );
  const openai = await priceOf({ provider: "openai", model: "gpt-5" });
  near(openai.cost({ ...usage, cacheWriteTokens: 0 }), (1000 * 1.25 + 2000 * 0.125 + 400 * 10) / 1e6);
});

test("the most is never less than what any split of the same tokens costs", async () => {
  const choices: Partial<ModelChoice>[] = [
    {},
    { model: "claude-sonnet-4-5" },
    { provider: "openai", model: "gpt-5" },
    { price: { input: 3, output: 10, cacheRead: 0.3 } },
  ];
  for (const choice of choices) {
    const price = await priceOf(choice);
    for (const all of [1000, 199_999, 200_001, 900_000]) {
      for (const [read, write] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [0.3, 0.6],
      ] as const) {
        const usage = {
          plainTokens: all * (1 - read - write),
          cacheReadTokens: all * read,
          cacheWriteTokens: all * write,
          outputTokens: 500,
        };
        const most = price.most(all, 500);
        assert.ok(price.cost(usage) <= most + 1e-9, `${JSON.stringify(choice)} ${all} ${read} ${write}`);
      }
    }
  }
});

test("a compatible server is priced by its address, and one that nobody knows is not", async () => {
  const known = await priceOf({ provider: "openai-compatible", model: "openai/gpt-5" }, "https://openrouter.ai/api/v1");
  near(known.cost(million), 1.25);
  const local = { provider: "openai-compatible", model: "llama3" } as const;
  assert.equal(await findPrice(local, "http://127.0.0.1:11434/v1"), null);
  near((await priceOf({ ...local, price: { input: 0, output: 0 } })).cost(million), 0);
});

test("the config's price wins over the list's", async () => {
  near((await priceOf({ price: { input: 7, output: 9 } })).cost(million), 7);
});

test("an estimate has more tokens than text can have", () => {
  assert.equal(mostTokens("x".repeat(3000)), 1600);
  assert.equal(mostTokens("語".repeat(1000)), 2100);
  assert.equal(mostTokens("é".repeat(1000)), 1600);
});
