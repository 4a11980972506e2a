import { z } from "zod";
import type { LiveChange } from "../../base/live.ts";
import { createLoop } from "../../base/loop.ts";
import { type Failure, FINISHED } from "../../define/run.ts";
import { findRunState, type RunState } from "../../store/views/runs.ts";
import { listConversations, listMessages } from "../../store/views/talk.ts";
import type { Api } from "../auth.ts";
import { id, page, present, readBody, readId, readQuery, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";
import { type EventStream, openStream } from "../stream.ts";

const QUESTION = z.strictObject({
  text: text(100_000).refine((value) => value.trim() !== "", "must not be empty"),
  conversation: id("cnv", "is not the id of a conversation"),
  agent: text(100).optional(),
});

/** Conversations, their messages, and asking. */
export function conversationRoutes(api: Api, options: ConsoleOptions): void {
  const { database, actions, live } = options;
  api.get("/conversations", async (context) =>
    context.json(await listConversations(database, readQuery(context, page("cnv")))),
  );

  api.get("/conversations/:id/messages", async (context) => {
    const id = readId(context, "conversation");
    return context.json(present(await listMessages(database, id, readQuery(context, page("msg"))), "conversation", id));
  });

  api.post("/chat", async (context) => {
    const question = await readBody(context, QUESTION);
    // Heard from before the run starts, so that no piece of the answer is missed.
    const early: LiveChange[] = [];
    let hear = (change: LiveChange) => void early.push(change);
    const unsubscribe = live.subscribe((change) => hear(change));
    const channel = context.get("login").kind === "token" ? "cli" : "web";
    const started = await actions.chat({ ...question, channel }).catch((error: unknown) => {
      unsubscribe();
      throw error;
    });
    const { runId, eventId } = started;
    return openStream(context, options, (stream) => {
      stream.signal.addEventListener("abort", unsubscribe);
      stream.send("run", { runId, eventId, conversation: started.conversation });
      const look = follow(options, stream, runId);
      hear = (change) => {
        if (change.kind === "approval" || (change.kind === "run" && change.id === runId)) look();
        if (change.id !== runId) return;
        if (change.kind === "delta") stream.send("delta", { text: change.text ?? "" });
        if (change.kind === "tool") stream.send("tool", { name: change.name, state: change.status });
      };
      for (const change of early) hear(change);
    });
  });
}

const LOOK_MILLISECONDS = 500;

/**
 * Looks at a run until it is finished, when told to by the returned function, and twice a second in case it is
 * carried by another process; tells of its approvals, what else it waits for, and its end. Who stops listening does not stop the run.
 */
function follow(options: ConsoleOptions, stream: EventStream, runId: string): () => void {
  const { database, clock, log } = options;
  const told = new Set<string>();
  const look = async () => {
    const state = await findRunState(database, runId).catch((error: unknown) => {
      log.warn("a run cannot be looked at", { runId, error: String(error) });
    });
    // Another look, which began before, may have ended it.
    if (!state || stream.signal.aborted) return;
    for (const approval of state.approvals) {
      if (!told.has(approval.id)) stream.send("approval", approval);
      told.add(approval.id);
    }
    const { status, waiting, wakeAt } = state;
    const wait = `${waiting?.kind} ${wakeAt?.toISOString()}`;
    if (status === "waiting" && waiting?.kind !== "approval" && !told.has(wait)) {
      stream.send("waiting", { waiting, wakeAt });
      told.add(wait);
    }
    if (!FINISHED.includes(status)) return;
    sendEnd(stream, runId, state);
    stream.end();
  };
  const loop = createLoop(clock, look, () => LOOK_MILLISECONDS);
  stream.signal.addEventListener("abort", () => void loop.stop());
  loop.start();
  return () => void look();
}

function sendEnd(stream: EventStream, runId: string, state: RunState): void {
  const result = (state.result ?? {}) as { text?: string; demo?: boolean; end?: string; error?: Failure };
  if (state.status === "completed") {
    stream.send("done", {
      text: state.text ?? result.text ?? "",
      runId,
      usd: state.usd,
      demo: result.demo === true,
      end: result.end ?? "answered",
      ...(result.error ? { error: result.error } : {}),
    });
    return;
  }
  const fallback =
    state.status === "canceled"
      ? { code: "run.canceled", message: "The run was canceled." }
      : { code: "run.failed", message: "The run failed.", next: `daimon runs show ${runId}` };
  stream.send("error", state.error ?? fallback);
}
