import type { Costs, Spend } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { ownerZone, query, type ReadOptions } from "./read.ts";
import { dim, facts, line, paint, print, printJson, say, table, time, usd } from "./terminal.ts";

/** What the models cost: today, this month, by model, and the last calls. */
export async function showCosts(options: ReadOptions & { since: string }) {
  const costs = await call<Costs>("GET", `/api/costs${query(options)}`);
  if (options.json) return printJson(costs);
  facts([
    ["Today", ofLimit(costs.today)],
    ["Month", ofLimit(costs.month)],
  ]);
  if (costs.calls.length === 0) return say(`No model was called in ${options.since}. Ask something: daimon chat hi`);
  printCalls(costs, options.since, await ownerZone());
}

function printCalls({ models, calls }: Costs, since: string, zone: string): void {
  print(`\n${dim(`By model, the last ${since}: calls, tokens in, out, cache read, cache written`)}`);
  const rows = models.map((item) => [
    ...[item.calls, item.inputTokens, item.outputTokens, item.cacheReadTokens, item.cacheWriteTokens].map(String),
    usd(item.usd),
    line(item.model),
  ]);
  table(["CALLS", "IN", "OUT", "READ", "WRITTEN", "COST", "MODEL"], rows);
  print(
    `\n${dim("The last calls: prompt is the whole request in tokens of 4 bytes; in and out as the provider counts")}`,
  );
  const last = calls.map((item) => [
    time(item.at, zone),
    ...[item.promptTokens, item.inputTokens, item.outputTokens].map(String),
    usd(item.usd),
    item.runId,
    line(`${item.model}${item.demo ? " (demo, no model)" : ""}`),
  ]);
  table(["AT", "PROMPT", "IN", "OUT", "COST", "RUN", "MODEL"], last);
}

function ofLimit({ usd: amount, limitUsd }: Spend): string {
  const words = `${usd(amount) || "$0"} of $${limitUsd.toFixed(2)}`;
  return amount >= limitUsd * 0.8 ? paint("yellow", words) : words;
}
