import { batch, type Signal, signal } from "@preact/signals";
import {
  type ApiError,
  asApiError,
  call,
  type EventDetail,
  type Failure,
  type Message,
  type Page,
  type Run,
  type RunDetail,
  readEventStream,
  request,
  type StepDetail,
} from "./api.ts";
import { onChange } from "./live.ts";

/** One thing said, by you or by Daimon. */
export interface Turn {
  readonly id: string;
  readonly from: "you" | "daimon";
  readonly text: string;
  readonly at: string;
  readonly runId: string | null;
  readonly state: "writing" | "done" | "failed" | "canceled";
  readonly tools: readonly { readonly name: string; readonly state: string }[];
  readonly usd: number | null;
  readonly demo: boolean;
  readonly failure: Failure | null;
}

/** A conversation as the page holds it; it goes on while another page is shown. */
export interface Thread {
  readonly id: Signal<string | null>;
  readonly turns: Signal<readonly Signal<Turn>[]>;
  readonly loaded: Signal<boolean>;
  readonly error: Signal<ApiError | null>;
  /** What stands in the field; a text that could not be sent comes back here. */
  readonly draft: Signal<string>;
  /** The answer that is being written. */
  readonly writing: Signal<Signal<Turn> | null>;
}

const threads = new Map<string, Thread>();

/** The thread of a conversation, read once; null: a new one. */
export function openThread(id: string | null): Thread {
  const open = id ? threads.get(id) : undefined;
  if (open) return open;
  const thread: Thread = {
    id: signal(id),
    turns: signal([]),
    loaded: signal(id === null),
    error: signal(null),
    draft: signal(""),
    writing: signal(null),
  };
  if (id) {
    threads.set(id, thread);
    void refresh(thread);
  }
  return thread;
}

/** Reads the messages again, unless an answer is being written. */
export async function refresh(thread: Thread): Promise<void> {
  const id = thread.id.value;
  if (!id || thread.writing.value) return;
  try {
    const { items } = await request<Page<Message>>(
      "GET",
      `/api/conversations/${encodeURIComponent(id)}/messages?limit=200`,
    );
    if (thread.writing.value) return;
    const turns = items.map(toTurn).reverse();
    batch(() => {
      thread.turns.value = turns.map((turn) => kept(thread, turn) ?? signal(turn));
      thread.loaded.value = true;
      thread.error.value = null;
    });
    const last = turns.at(-1);
    if (last?.from === "you") await resume(thread, id, last);
  } catch (error) {
    thread.error.value = asApiError(error);
  }
}

/** Says something and follows the answer. A text that was not taken comes back into the field. */
export async function say(thread: Thread, text: string): Promise<void> {
  const asked = signal(newTurn("you", text));
  const answer = signal({ ...newTurn("daimon", ""), state: "writing" as Turn["state"] });
  batch(() => {
    thread.draft.value = "";
    thread.error.value = null;
    thread.turns.value = [...thread.turns.value, asked, answer];
    thread.writing.value = answer;
  });
  try {
    const id = thread.id.value;
    const response = await call("POST", "/api/chat", id ? { text, conversation: id } : { text });
    await follow(thread, answer, response.body!);
  } catch (error) {
    if (!answer.value.runId) {
      return batch(() => {
        thread.turns.value = thread.turns.value.filter((turn) => turn !== asked && turn !== answer);
        thread.writing.value = null;
        thread.error.value = asApiError(error);
        thread.draft.value = text;
      });
    }
  }
  await watch(thread, answer);
}

/** Cancels the run of the answer that is being written. */
export async function cancel(thread: Thread): Promise<void> {
  const runId = thread.writing.value?.value.runId;
  if (runId) await request("DELETE", `/api/runs/${runId}`);
}

/** Queues a failed run again, its finished steps kept, and follows it; what ended without an answer is asked anew. */
export async function tryAgain(thread: Thread, turn: Signal<Turn>): Promise<void> {
  const { runId, state } = turn.value;
  const at = thread.turns.value.indexOf(turn);
  const question = thread.turns.value.slice(0, at).findLast((one) => one.value.from === "you");
  if (state !== "failed" || !runId) return await say(thread, question?.value.text ?? "");
  await request("POST", `/api/runs/${runId}/retries`);
  turn.value = { ...turn.value, state: "writing", failure: null, text: "" };
  await watch(thread, turn);
}

/** Shows the answer as it is written; how it ended is read from the run. */
async function follow(thread: Thread, answer: Signal<Turn>, body: ReadableStream<Uint8Array>): Promise<void> {
  const change = (more: Partial<Turn>) => {
    answer.value = { ...answer.value, ...more };
  };
  for await (const { event, data } of readEventStream(body)) {
    const said = data as { runId?: string; conversation?: string; text?: string; name?: string; state?: string };
    if (event === "delta") change({ text: answer.value.text + (said.text ?? "") });
    else if (event === "tool") change({ tools: withTool(answer.value.tools, said.name ?? "", said.state ?? "") });
    else if (event === "run") {
      change({ runId: said.runId ?? null });
      if (said.conversation && !thread.id.value) {
        threads.set(said.conversation, thread);
        thread.id.value = said.conversation;
      }
    }
  }
}

/** After a reload: the run of a last question without an answer, under way or failed. Both began in one moment. */
async function resume(thread: Thread, id: string, question: Turn): Promise<void> {
  for (const status of ["running", "waiting", "queued", "failed", "canceled"]) {
    const { items } = await request<Page<Run>>("GET", `/api/runs?status=${status}&limit=200`);
    const run = items.find((one) => one.createdAt === question.at && one.handler.startsWith("agent:"));
    if (!run) continue;
    const event = await request<EventDetail>("GET", `/api/events/${run.eventId}`);
    if ((event.data as { conversation?: string } | null)?.conversation !== id || thread.writing.value) return;
    const answer = signal<Turn>({
      ...newTurn("daimon", ""),
      at: question.at,
      runId: run.id,
      state: "writing",
    });
    thread.turns.value = [...thread.turns.value, answer];
    return await watch(thread, answer);
  }
}

/** Follows a run by what is kept of it, until it is answered, failed or canceled. */
async function watch(thread: Thread, answer: Signal<Turn>): Promise<void> {
  thread.writing.value = answer;
  const runId = answer.value.runId!;
  while (thread.writing.value === answer) {
    // Heard from before the run is read, so that no change is missed.
    const changed = nextChange(runId);
    const run = await request<RunDetail>("GET", `/api/runs/${runId}`).catch(() => null);
    const message = run?.messages?.findLast((one) => one.direction === "out");
    const tools = run?.steps.flatMap((step) => {
      const tool = (step.detail as StepDetail | null)?.tool;
      const failed = (step.value as { failed?: boolean } | null)?.failed;
      return tool ? [{ name: tool, state: failed ? "failed" : step.status }] : [];
    });
    if (run?.status === "completed" || run?.status === "failed" || run?.status === "canceled") {
      const result = run.result as { demo?: boolean; error?: Failure } | null;
      answer.value = {
        ...answer.value,
        text: message?.text ?? answer.value.text,
        state: run.status === "completed" ? "done" : run.status,
        failure: (run.status === "failed" ? run.error : result?.error) ?? null,
        tools: tools ?? [],
        usd: run.usd,
        demo: result?.demo === true,
      };
      thread.writing.value = null;
      return;
    }
    await changed;
  }
}

/** The next change of a run, or five seconds. */
function nextChange(runId: string): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, 5000);
    const stop = onChange((change) => {
      if (change.id.startsWith(runId) || change.kind === "message" || change.kind === "resumed") done();
    });
  });
}

function newTurn(from: Turn["from"], text: string): Turn {
  return {
    id: crypto.randomUUID(),
    from,
    text,
    at: new Date().toISOString(),
    runId: null,
    state: "done",
    tools: [],
    usd: null,
    demo: false,
    failure: null,
  };
}

function toTurn(message: Message): Turn {
  const detail = (message.detail ?? {}) as { usd?: number; demo?: boolean; error?: Failure };
  return {
    ...newTurn(message.direction === "in" ? "you" : "daimon", message.text),
    id: message.id,
    at: message.createdAt,
    runId: message.runId,
    usd: typeof detail.usd === "number" ? detail.usd : null,
    demo: detail.demo === true,
    failure: detail.error ?? null,
  };
}

/** What the page already knows of the same answer: its tools and its price are not in every message. */
function kept(thread: Thread, turn: Turn): Signal<Turn> | undefined {
  return thread.turns.value.find(({ value }) => {
    if (value.id === turn.id) return true;
    if (value.from !== turn.from || value.text !== turn.text) return false;
    if (turn.from === "daimon") return turn.runId !== null && value.runId === turn.runId;
    return Math.abs(Date.parse(value.at) - Date.parse(turn.at)) < 60_000;
  });
}

function withTool(tools: Turn["tools"], name: string, state: string): Turn["tools"] {
  const at = tools.findLastIndex((tool) => tool.name === name && tool.state === "started");
  return at >= 0 && state !== "started" ? tools.with(at, { name, state }) : [...tools, { name, state }];
}
