import { join } from "node:path";
import { type Brain, startModelServer } from "../core/models/demo/server.ts";
import { count, now, quantile, short } from "./figures.ts";
import { readServerFile, startHouse } from "./house.ts";
import type { BenchServer } from "./postgres.ts";
import type { Table } from "./report.ts";

/** Answers at once; asks for the hub's map first when the question says so. */
const brain: Brain = ({ messages }) => {
  const last = JSON.stringify(messages.at(-1));
  const asked = /look into the hub/.test(last) && !/tool_result/.test(last);
  return asked ? { toolCalls: [{ name: "hub_map", input: {} }] } : { text: "Hello." };
};

/**
 * An agent's turn without its model's time: the model is a scripted server that answers at once, over real HTTP.
 * From `POST /api/chat` to the end of the answer, kept and streamed.
 */
export async function measureTurn(
  server: BenchServer,
  options: { samples: number },
): Promise<{ tables: Table[]; data: unknown }> {
  const model = await startModelServer({ brain });
  const home = join(server.folder, "turn");
  const values = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "bench-key" };
  const house = await startHouse({ home, values });
  try {
    const { url, token } = readServerFile(home);
    const ask = (text: string) => chat(url, token, text);
    await ask("hi");
    const first = model.requests.at(-1)!;
    const tools = (JSON.parse(first.body) as { tools?: unknown[] }).tools?.length ?? 0;
    const tokens = Math.ceil(Buffer.byteLength(first.body) / 4);
    for (let warm = 0; warm < 5; warm++) await ask("look into the hub");
    const plain: number[] = [];
    const withTool: number[] = [];
    for (let sample = 0; sample < options.samples; sample++) {
      plain.push(await ask("hi"));
      withTool.push(await ask("look into the hub"));
    }
    const row = (what: string, calls: string, times: readonly number[]) => [
      what,
      calls,
      short(quantile(times, 0.5)),
      short(quantile(times, 0.99)),
    ];
    return {
      data: { plain, withTool, tokens, tools },
      tables: [
        {
          title: "One turn of an agent, without its model's time",
          columns: ["", "model calls", "p50 ms", "p99 ms"],
          rows: [row('"hi"', "1", plain), row("a question that uses one tool (`hub_map`)", "2", withTool)],
          notes: [
            `From \`POST /api/chat\` to the last byte of the answer; the model is our scripted server, which answers at once, over HTTP; ${options.samples} each.`,
            "In it: the event kept and its run queued, claimed, the prompt put together, money reserved and settled, each call a kept step, the answer in the outbox.",
          ],
        },
        {
          title: 'The prompt of a bare "hi" with the starter hub',
          columns: ["", "tokens (bytes / 4)", "promise"],
          rows: [[`soul, map, skills and ${tools} tools`, count(tokens), "≤ 2,000"]],
        },
      ],
    };
  } finally {
    await house.stop();
    await model.stop();
  }
}

/** Milliseconds of one question; throws when it does not end well. */
async function chat(url: string, token: string, text: string): Promise<number> {
  const began = now();
  const response = await fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  const answer = await response.text();
  if (response.status !== 200 || !/^event: done/m.test(answer))
    throw new Error(`the chat ended with ${response.status}: ${answer.slice(-500)}`);
  return now() - began;
}
