import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Conversation, Page, RunDetail, Step, StepDetail } from "../api.ts";
import { ApprovalCard } from "../approval.tsx";
import { count, money, waitingFor } from "../format.ts";
import { Icon, Mark } from "../icons.tsx";
import { Fields, Json } from "../json.tsx";
import { Button, Pending, Problem, Status, Time } from "../parts.tsx";
import { fetchMarkdown, Prose } from "../prose.tsx";
import { type Query, useChanges, useQuery } from "../query.ts";
import { go, place } from "../router.ts";
import { attempt, status } from "../state.ts";
import { cancel, openThread, refresh, say, type Thread, type Turn, tryAgain } from "../threads.ts";

const STARTERS = ["What can you do?", "Save an idea: a video on webhooks", "What came in today?"];

export function Chat({ id }: { id: string }) {
  const held = useRef<Thread>(undefined);
  const listed = useSignal(false);
  // The address leads; but a new conversation that was just given its id is already the one that is shown.
  if (!held.current || (held.current.id.value ?? "") !== id) held.current = openThread(id || null);
  const shown = held.current;
  useEffect(() => {
    document.title = "Chat · Daimon";
    fetchMarkdown();
    const asked = place.value.query.get("ask");
    if (asked) {
      go("/chat", { replace: true });
      void talk(shown, asked);
    }
  }, []);
  useChanges(["message"], () => void refresh(held.current!));
  const conversations = useQuery<Page<Conversation>>("/api/conversations", ["message"]);
  const title = conversations.data?.items.find((one) => one.id === id)?.title;
  return (
    <div class={`chat${listed.value ? " listing" : ""}`}>
      <Conversations list={conversations} current={id} onPick={() => (listed.value = false)} />
      <section class="talk" aria-label="Conversation">
        <header class="talk-head">
          <Button kind="quiet" icon="runs" label="Conversations" onPress={() => (listed.value = !listed.value)} />
          <h1>{listed.value ? "Conversations" : (title ?? "Chat")}</h1>
          {status.value?.demo && <span class="demo-mark">demo, no model</span>}
          <a class="button quiet" href="/chat" aria-label="New conversation">
            <Icon name="plus" />
          </a>
        </header>
        <Turns thread={shown} />
        <Composer thread={shown} />
      </section>
    </div>
  );
}

/** Says it, and gives the page the address of a new conversation once it has one. */
async function talk(thread: Thread, text: string): Promise<void> {
  const before = thread.id.value;
  const stop = before
    ? undefined
    : thread.id.subscribe((id) => {
        if (id && place.value.path === "/chat") go(`/chat/${id}`, { replace: true });
      });
  await say(thread, text);
  stop?.();
}

function Conversations(props: { list: Query<Page<Conversation>>; current: string; onPick: () => void }) {
  const { current, onPick } = props;
  const { data, error } = props.list;
  return (
    <aside class="conversations" aria-label="Conversations">
      <a class="button plain new" href="/chat" onClick={onPick}>
        <Icon name="plus" /> New conversation
      </a>
      {!data ? (
        <Pending error={error} lines={4} />
      ) : data.items.length === 0 ? (
        <p class="faint">Your conversations stand here, from every channel.</p>
      ) : (
        <ul>
          {data.items.map((one) => (
            <li key={one.id}>
              <a
                data-row
                href={`/chat/${one.id}`}
                aria-current={one.id === current ? "page" : undefined}
                onClick={onPick}
              >
                <span class="title">{one.title || "Untitled"}</span>
                <span class="faint">
                  {one.channel} · <Time at={one.updatedAt} />
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </aside>
  );
}

function Turns({ thread }: { thread: Thread }) {
  const frame = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const last = thread.turns.value.at(-1)?.value;
  useLayoutEffect(() => {
    const element = frame.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [thread, thread.turns.value.length, last?.text, last?.tools.length, last?.state]);
  const watchScroll = () => {
    const element = frame.current!;
    follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < 60;
  };
  return (
    <div class="turns" ref={frame} onScroll={watchScroll} tabIndex={-1}>
      <div class="turns-inside">
        <h2 class="hidden">Messages</h2>
        {!thread.loaded.value ? (
          <Pending error={thread.error.value} lines={4} />
        ) : thread.turns.value.length === 0 ? (
          <Starters thread={thread} />
        ) : (
          thread.turns.value.map((turn) => <TurnView key={turn.value.id} thread={thread} turn={turn} />)
        )}
      </div>
    </div>
  );
}

function Starters({ thread }: { thread: Thread }) {
  return (
    <div class="starters">
      <Mark size={40} />
      <h2>What shall we do?</h2>
      <p class="faint">It reads your hub, your events and your runs, and asks before it acts outside.</p>
      <div class="starter-list">
        {STARTERS.map((text) => (
          <Button key={text} onPress={() => void talk(thread, text)}>
            {text}
          </Button>
        ))}
      </div>
    </div>
  );
}

function TurnView({ thread, turn }: { thread: Thread; turn: Signal<Turn> }) {
  const { from, text, state, runId, tools, failure } = turn.value;
  if (from === "you") {
    return (
      <article class="turn you" aria-label="You">
        <div class="bubble">{text}</div>
      </article>
    );
  }
  return (
    <article class="turn daimon" aria-label="Daimon" aria-busy={state === "writing"}>
      {tools.length > 0 && <Tools tools={tools} runId={runId} />}
      {text && !failure && <Prose text={text} />}
      {state === "writing" && <Writing runId={runId} quiet={text !== ""} />}
      {state === "canceled" && <Status value="canceled" word="stopped" />}
      {failure && (
        <Problem failure={failure}>
          {runId && (
            <Button icon="retry" onPress={() => void attempt(() => tryAgain(thread, turn))}>
              Try again
            </Button>
          )}
        </Problem>
      )}
      {state !== "writing" && <Foot turn={turn.value} />}
    </article>
  );
}

/** While the answer is under way: that it is, and what it waits for. */
function Writing({ runId, quiet }: { runId: string | null; quiet: boolean }) {
  const run = useQuery<RunDetail>(
    runId && `/api/runs/${runId}`,
    (change) => change.kind === "approval" || (change.kind === "run" && change.id === runId),
  );
  const waiting = run.data?.approvals?.filter((one) => one.status === "waiting") ?? [];
  if (waiting.length > 0) {
    return (
      <>
        {waiting.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} onAnswer={run.reload} />
        ))}
      </>
    );
  }
  const halted = status.value?.stopped
    ? "Everything is stopped: it goes on when you resume."
    : run.data?.status === "waiting" && `It ${waitingFor(run.data)}`;
  if (halted) return <Status value="waiting" word={halted} />;
  return (
    <span class={`writing${quiet ? " quiet" : ""}`} role="status">
      <i />
      <i />
      <i />
      <span class="hidden">Daimon is answering</span>
    </span>
  );
}

/** "used hub_search, save_idea", folded; what went in and out is read when it is unfolded. */
function Tools({ tools, runId }: { tools: Turn["tools"]; runId: string | null }) {
  const open = useSignal(false);
  const run = useQuery<RunDetail>(open.value && runId ? `/api/runs/${runId}` : null, (change) => change.id === runId);
  const names = [...new Set(tools.map((tool) => tool.name))].join(", ");
  const working = tools.some((tool) => tool.state === "started");
  const failed = tools.some((tool) => tool.state === "failed");
  return (
    <details class="tools" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        <Icon name="tool" size={14} />
        {working ? "using" : "used"} {names}
        {failed && <Status value="failed" word="one failed" />}
      </summary>
      {run.data ? <ToolSteps steps={run.data.steps} /> : open.value && <Pending error={run.error} lines={2} />}
    </details>
  );
}

/** What went into each tool, and what came out. */
function ToolSteps({ steps }: { steps: readonly Step[] }) {
  return (
    <ul class="tool-steps">
      {steps
        .filter((step) => step.kind === "tool")
        .map((step) => {
          const detail = (step.detail ?? {}) as StepDetail;
          return (
            <li key={step.key}>
              <p class="facts">
                <code>{detail.tool ?? step.key}</code>
                <Status value={step.status} />
              </p>
              {detail.input !== undefined && <Fields value={detail.input} />}
              {step.error ? <Problem failure={step.error} /> : <Json value={step.value} open={1} />}
            </li>
          );
        })}
    </ul>
  );
}

function Foot({ turn }: { turn: Turn }) {
  const open = useSignal(false);
  const run = useQuery<RunDetail>(open.value && turn.runId ? `/api/runs/${turn.runId}` : null);
  const calls = run.data?.steps.filter((step) => step.kind === "model") ?? [];
  const sum = (name: "inputTokens" | "outputTokens") =>
    calls.reduce((total, step) => total + ((step.detail as StepDetail | null)?.[name] ?? 0), 0);
  return (
    <footer class="turn-foot">
      {turn.demo && <span class="demo-mark">demo, no model</span>}
      {turn.usd !== null && <span class="num">{money(turn.usd)}</span>}
      <Time at={turn.at} />
      {turn.runId && (
        <>
          <button type="button" class="link" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
            details
          </button>
          <a href={`/runs/${turn.runId}`}>run</a>
        </>
      )}
      {open.value && run.data && (
        <>
          <span class="num">
            {calls.length} model calls · {count(sum("inputTokens"))} in · {count(sum("outputTokens"))} out ·{" "}
            {money(run.data.usd)}
          </span>
          {run.data.steps.some((step) => step.kind === "tool") && <ToolSteps steps={run.data.steps} />}
        </>
      )}
    </footer>
  );
}

function Composer({ thread }: { thread: Thread }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const busy = thread.writing.value !== null;
  const send = () => {
    const text = thread.draft.value.trim();
    if (text && !thread.writing.value) void talk(thread, text);
  };
  useLayoutEffect(() => {
    const element = field.current!;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 220)}px`;
  }, [thread.draft.value]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, [thread]);
  return (
    <div class="composer">
      {thread.error.value && thread.loaded.value && (
        <Problem failure={thread.error.value}>
          <Button icon="retry" onPress={send}>
            Try again
          </Button>
        </Problem>
      )}
      <form
        class="composer-box"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          ref={field}
          rows={1}
          aria-label="Message"
          placeholder="Ask, or say what to do"
          value={thread.draft.value}
          onInput={(event) => (thread.draft.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        {busy ? (
          <Button kind="danger" icon="stop" label="Stop the answer" onPress={() => attempt(() => cancel(thread))} />
        ) : (
          <button
            class="button primary square"
            type="submit"
            aria-label="Send"
            disabled={thread.draft.value.trim() === ""}
          >
            <Icon name="up" />
          </button>
        )}
      </form>
      <p class="composer-hint">
        <kbd>Enter</kbd> sends, <kbd>Shift Enter</kbd> begins a new line
      </p>
    </div>
  );
}
