/** What the chaos test installs: a capability whose steps and tools note each thing they do in a file. */

export const SECRET = "chaos";

const KINDS = [
  "steps",
  "sleeper",
  "asker",
  "emitter",
  "flaky",
  "broken",
  "filer",
  "talker",
  "unreadable",
  "answer",
] as const;

/** Of ten deliveries, one of each kind; the last answers the asker of its ten. */
export const kindOf = (n: number): (typeof KINDS)[number] => KINDS[n % 10]!;

export const AGENT = `---
description: Strikes and notes.
tools: [strike, note]
---

Strike once and note once, then say what became of it.
`;

export const CAPABILITY = `
import { type Context, defineCapability, defineSchedule, defineTool, defineTrigger, defineWebhook, z } from "daimon";

const { appendFileSync, readFileSync } = process.getBuiltinModule("node:fs");
const FILE = process.env.DAIMON_HOME + "/effects";
const pause = (most: number) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));

/** One write of one line: whole, and in the order in which things were done. */
function did(of: string, name: string): string {
  const nonce = crypto.randomUUID();
  appendFileSync(FILE, JSON.stringify({ of, name, nonce, at: Date.now(), pid: process.pid }) + "\\n");
  return nonce;
}

type Given = Context<{ n: number; of: number }>;

const act = ({ event, step }: Given, name: string) =>
  step.run(name, async () => {
    await pause(60);
    const nonce = did(event.id, name);
    await pause(60);
    return nonce;
  });

const handlers: Record<string, (given: Given) => Promise<unknown>> = {
  async steps(given) {
    for (const name of ["one", "two", "three", "four"]) await act(given, name);
  },
  async sleeper(given) {
    await act(given, "before");
    await given.step.sleep("nap", "700ms");
    await act(given, "after");
  },
  async asker(given) {
    await act(given, "before");
    const where = { of: given.event.data.of };
    const answer = await given.wait("answer", { source: "chaos", type: "answer", where }, "10m");
    if (!answer) throw new Error("nobody answered");
    await act(given, "after");
  },
  async answer(given) {
    await act(given, "one");
  },
  async emitter(given) {
    await act(given, "before");
    await given.emit({ source: "chaos", type: "emitted", data: given.event.data });
    await act(given, "after");
  },
  async emitted(given) {
    await act(given, "one");
  },
  async flaky(given) {
    await act(given, "before");
    const tried = readFileSync(FILE, "utf8").split("\\n").some((line) => line.includes(given.event.id) && line.includes("tried"));
    await act(given, "tried");
    if (!tried) throw new Error("the first time");
    await act(given, "after");
  },
  async broken(given) {
    await act(given, "before");
    throw new Error("as it should");
  },
  async unreadable() {},
  async filer(given) {
    const path = "inbox/" + given.event.id + ".md";
    await given.hub.create(path, "# A note\\n\\nof " + given.event.data.n + "\\n", "Keep a note");
    await act(given, "between");
    await given.send({ text: "Filed " + path });
  },
  async talker(given) {
    await act(given, "before");
    await given.agent("ask", { agent: "chaos", prompt: "Do it." });
    await act(given, "after");
  },
};

let used = 0;
const tool = (name: string, repeatable: boolean) =>
  defineTool<{ what: string }>({
    name,
    description: name + " once",
    input: z.object({ what: z.string() }),
    effect: "write",
    repeatable,
    run: async (_, { idempotencyKey }) => {
      did(idempotencyKey, name);
      // The first of each process takes its time: whoever sees it can kill before it is recorded, on a slow machine, too.
      await new Promise((resolve) => setTimeout(resolve, used++ === 0 ? 2000 : 200));
      return name + " done";
    },
  });

export default defineCapability({
  name: "chaos",
  description: "Does many things, and notes each of them.",
  webhooks: [
    defineWebhook({
      source: "chaos",
      verify: { scheme: "hmac", algorithm: "sha256", encoding: "hex", header: "x-signature", secret: "CHAOS_SECRET" },
      type: [{ header: "x-event" }],
      key: { header: "x-delivery" },
    }),
  ],
  triggers: Object.entries(handlers).map(([name, run]) =>
    defineTrigger({
      name,
      on: { source: "chaos", type: name },
      run,
      retry: { attempts: name === "broken" ? 2 : 3, delays: [200] },
    }),
  ),
  schedules: [defineSchedule({ name: "tick", cron: "* * * * *", run: async ({ step }) => await step.run("tick", () => 1) })],
  tools: [tool("strike", false), tool("note", true)],
  secrets: [{ name: "CHAOS_SECRET", description: "Signs the deliveries" }],
});
`;
