import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import {
  ApiError,
  asApiError,
  type ChecklistStep,
  type Delivery,
  type Failure,
  type Page,
  request,
  type Schedule,
} from "../api.ts";
import { type Fired, scheduleUrl } from "../deeds.ts";
import { shortId } from "../format.ts";
import { Icon } from "../icons.tsx";
import { Button, Panel, Problem, RunState } from "../parts.tsx";
import { Prose } from "../prose.tsx";
import { loadStatus, status } from "../state.ts";
import { openThread, say, type Thread } from "../threads.ts";

type Result = Signal<ComponentChildren>;

interface Lesson {
  readonly step: ChecklistStep;
  readonly title: string;
  readonly teaches: string;
  readonly button: string;
  readonly act: (result: Result) => Promise<void>;
}

const LESSONS: readonly Lesson[] = [
  {
    step: "sent",
    title: "Send a signed GitHub event",
    teaches: "A recorded push, signed as GitHub signs it, through the real door.",
    button: "Send it",
    act: (result) => deliver(result, {}),
  },
  {
    step: "refused",
    title: "Break the signature",
    teaches: "One wrong byte, and it is refused. Nothing of it is kept but a count and the reason.",
    button: "Break it",
    act: (result) => deliver(result, { badSignature: true }),
  },
  {
    step: "duplicate",
    title: "Send the same delivery twice",
    teaches: "Senders repeat themselves. The second answers with the first one's id; nothing runs twice.",
    button: "Send it twice",
    act: (result) => deliver(result, { duplicate: true }),
  },
  {
    step: "report",
    title: "Run the Tuesday report now",
    teaches: "What the clock does each Tuesday, done now: a schedule, an agent, a message.",
    button: "Run it",
    act: report,
  },
  {
    step: "asked",
    title: "Ask a question",
    teaches: "“What can you do?” goes to the default agent; each model call and tool call is a step.",
    button: "Ask it",
    act: ask,
  },
];

/** The first five minutes: five buttons that do it, and what came back. */
export function Checklist() {
  const done = status.value?.steps;
  const folded = useSignal(localStorage.getItem("checklist") === "folded");
  if (!done) return null;
  const count = LESSONS.filter((lesson) => done[lesson.step]).length;
  const fold = () => {
    folded.value = !folded.value;
    localStorage.setItem("checklist", folded.value ? "folded" : "open");
  };
  const all = count === LESSONS.length;
  return (
    <Panel
      flush
      title={all ? "First five minutes: done" : "First five minutes"}
      aside={
        <>
          <span class="progress" role="img" aria-label={`${count} of ${LESSONS.length} done`}>
            {LESSONS.map((lesson) => (
              <i key={lesson.step} data-done={done[lesson.step]} />
            ))}
          </span>
          <Button kind="quiet" onPress={fold}>
            {folded.value ? "Show" : "Hide"}
          </Button>
        </>
      }
    >
      {!folded.value && (
        <ol class="lessons">
          {LESSONS.map((lesson) => (
            <LessonRow
              key={lesson.step}
              lesson={lesson}
              done={done[lesson.step]}
              next={LESSONS.find((one) => !done[one.step]) === lesson}
              compact={all}
            />
          ))}
        </ol>
      )}
    </Panel>
  );
}

function LessonRow(props: { lesson: Lesson; done: boolean; next: boolean; compact: boolean }) {
  const { lesson, done, next, compact } = props;
  const result: Result = useSignal<ComponentChildren>(null);
  const act = async () => {
    result.value = null;
    try {
      await lesson.act(result);
    } catch (error) {
      result.value = <Problem failure={asApiError(error)} />;
    }
    await loadStatus();
  };
  return (
    <li class="lesson" data-done={done} data-step={lesson.step}>
      <span class="tick" title={done ? "Done" : "Not done yet"}>
        {done && <Icon name="check" size={12} />}
        <span class="hidden">{done ? "Done:" : "To do:"}</span>
      </span>
      <div class="lesson-text">
        <b>{lesson.title}</b>
        {!compact && <p>{lesson.teaches}</p>}
      </div>
      <Button kind={next ? "primary" : "plain"} onPress={act}>
        {done ? "Again" : lesson.button}
      </Button>
      {result.value && (
        <div class="lesson-result" role="status">
          {result.value}
        </div>
      )}
    </li>
  );
}

async function deliver(result: Result, how: { badSignature?: boolean; duplicate?: boolean }): Promise<void> {
  const { deliveries } = await request<{ deliveries: Delivery[] }>("POST", "/api/samples", {
    source: "github",
    type: "push",
    ...how,
  });
  result.value = deliveries.map((delivery, index) => (
    <DeliveryLine key={`${index} ${delivery.key}`} delivery={delivery} {...how} />
  ));
}

function DeliveryLine({ delivery, badSignature }: { delivery: Delivery; badSignature?: boolean }) {
  const { id, duplicate, error } = delivery.body as { id?: string; duplicate?: boolean; error?: Failure };
  return (
    <p>
      <code class="http" data-tone={delivery.status < 300 ? "good" : "bad"}>
        {delivery.status}
      </code>
      {id ? (
        <>
          <span>{duplicate ? "the first one's id" : "kept and dispatched as"}</span>
          <a href={`/events/${id}`} title={id}>
            {shortId(id)}
          </a>
        </>
      ) : (
        <>
          <span>{error?.message ?? "Refused."}</span>
          {badSignature && delivery.status === 401 && <a href="/events/refusals">See the refusals</a>}
        </>
      )}
    </p>
  );
}

async function report(result: Result): Promise<void> {
  const { items } = await request<Page<Schedule>>("GET", "/api/schedules");
  const schedule = items.find((one) => one.name.startsWith("competitor-analysis/")) ?? items[0];
  if (!schedule) {
    const next = "npx daimon add competitor-analysis";
    throw new ApiError(404, { code: "schedule.missing", message: "No schedule is installed.", next });
  }
  const fired = await request<Fired>("POST", `${scheduleUrl(schedule.name)}/runs`);
  const runId = fired.runIds[0];
  result.value = (
    <p>
      <code class="http" data-tone="good">
        202
      </code>
      <span>{schedule.name} fired as</span>
      <a href={`/events/${fired.eventId}`} title={fired.eventId}>
        {shortId(fired.eventId)}
      </a>
      {runId && (
        <>
          <span>and carried by</span>
          <RunState id={runId} />
        </>
      )}
    </p>
  );
}

async function ask(result: Result): Promise<void> {
  const thread = openThread(null);
  result.value = <Answered thread={thread} />;
  await say(thread, "What can you do?");
}

function Answered({ thread }: { thread: Thread }) {
  const answer = thread.turns.value.at(-1)?.value;
  const failure = thread.error.value ?? answer?.failure;
  return (
    <>
      {failure ? <Problem failure={failure} /> : <Prose text={answer?.text || "…"} name="answer" />}
      {answer?.runId && (
        <p>
          <a href={`/chat/${thread.id.value}`}>Go on in the chat</a>
          <a href={`/runs/${answer.runId}`}>Look at its run</a>
        </p>
      )}
    </>
  );
}
