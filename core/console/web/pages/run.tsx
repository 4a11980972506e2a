import { useSignal } from "@preact/signals";
import { type Page, type Run, type RunDetail, request } from "../api.ts";
import { ApprovalCard } from "../approval.tsx";
import { Figure, Meter } from "../figures.tsx";
import { duration, failedLike, money, plural, waitingFor } from "../format.ts";
import { Icon } from "../icons.tsx";
import { Json } from "../json.tsx";
import { type Change, now } from "../live.ts";
import {
  Button,
  CopyableId,
  Frames,
  Handler,
  Id,
  LabelMark,
  ownDayAndTime,
  PageBody,
  Panel,
  PendingPage,
  Problem,
  Status,
  Time,
} from "../parts.tsx";
import { Prose } from "../prose.tsx";
import { useQuery } from "../query.ts";
import { RepairProgress } from "../repair.tsx";
import { attempt } from "../state.ts";
import { Timeline } from "../timeline.tsx";
import { RunRows } from "./runs.tsx";

const BACK = { href: "/runs", text: "Runs" };
const ACTIVE = ["queued", "running", "waiting"];

export function RunPage({ id }: { id: string }) {
  const many = useSignal(false);
  const concerns = (change: Change) => {
    if (change.kind === "approval" || change.kind === "message" || change.id.startsWith(id)) return true;
    // What came of a replay of many changes its page, too.
    return change.kind === "run" && many.value;
  };
  const { data: run, error, reload } = useQuery<RunDetail>(`/api/runs/${id}`, concerns);
  many.value = Boolean(run?.progress);
  if (!run) return <PendingPage title="Run" back={BACK} error={error} />;
  const stop = () => attempt(() => request("DELETE", `/api/runs/${id}`).then(reload), "Asked to stop.");
  const retry = () =>
    attempt(
      () => request("POST", `/api/runs/${id}/retries`).then(reload),
      "Queued again. Finished steps are not repeated.",
    );
  return (
    <PageBody
      title={run.handler}
      heading={<Handler name={run.handler} />}
      back={BACK}
      sub={
        <span class="facts">
          <Status value={run.status} />
          <Time at={run.createdAt} />
          <LabelMark label={run.label} />
          <CopyableId id={run.id} />
        </span>
      }
      actions={
        <>
          {ACTIVE.includes(run.status) && (
            <Button kind="danger" icon="stop" onPress={stop}>
              Stop this run
            </Button>
          )}
          {(run.status === "failed" || run.status === "canceled" || run.waiting?.kind === "retry") && (
            <Button kind="primary" icon="retry" onPress={retry}>
              {run.status === "waiting" ? "Try now" : "Retry"}
            </Button>
          )}
        </>
      }
    >
      {run.error && run.status !== "completed" && (
        <Problem failure={run.error}>
          {run.issueId && (
            <a class="button plain" href={`/issues/${run.issueId}`}>
              <Icon name="issues" /> Its issue
            </a>
          )}
          {run.status === "failed" && !run.progress && (
            <a class="button plain" href={failedLike(run)}>
              All that failed like this
            </a>
          )}
        </Problem>
      )}
      {run.status !== "completed" && <Frames of={run.error} />}
      {run.progress && <RepairProgress run={run} />}
      {run.progress && <CameOfIt id={id} />}
      {run.status === "waiting" && (
        <p class="note waiting-note">
          <Status value="waiting" word={`This run ${waitingFor(run)}.`} />
          {run.wakeAt && run.waiting?.kind !== "approval" && (
            <span class="faint">
              {run.startedAt ? "Goes on" : "Begins"} <Time at={run.wakeAt} />, {ownDayAndTime(run.wakeAt)}.
            </span>
          )}
        </p>
      )}
      {(run.approvals ?? []).map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} onAnswer={reload} />
      ))}
      <Figures run={run} />
      <Burst run={run} />
      <Timeline run={run} />
      <Said run={run} />
      {run.result !== null && run.result !== undefined && (
        <Panel title="Result">
          <Json value={run.result} open={3} />
        </Panel>
      )}
    </PageBody>
  );
}

/** The last runs that came of a replay or retry of many, as they finish. */
function CameOfIt({ id }: { id: string }) {
  const { data } = useQuery<Page<Run>>(`/api/runs?order=${id}&limit=10`, ["run"]);
  return data?.items.length ? <RunRows items={data.items} /> : null;
}

function Figures({ run }: { run: RunDetail }) {
  const turns = run.steps.filter((step) => step.kind === "model").length;
  const from = run.startedAt ?? run.createdAt;
  const waited = run.startedAt && Date.parse(run.startedAt) - Date.parse(run.createdAt);
  const limit = run.limits.usd;
  return (
    <dl class="figures">
      <Figure name="Took" note={typeof waited === "number" && `began after ${duration(waited)}`}>
        {duration((run.finishedAt ? new Date(run.finishedAt) : now.value).getTime() - Date.parse(from))}
      </Figure>
      <Figure
        name="Cost"
        note={
          limit && (
            <>
              <Meter value={run.usd} limit={limit} label="Cost of the run's limit" /> of {money(limit)}
            </>
          )
        }
      >
        {money(run.usd)}
      </Figure>
      <Figure name="Model calls" note={run.limits.turns && `of at most ${run.limits.turns}`}>
        {turns}
      </Figure>
      <Figure name="Tries" note={`of ${run.maxAttempts}`}>
        {Math.min(run.maxAttempts, run.attempts + (run.status === "failed" ? 0 : 1))}
      </Figure>
      <Figure
        name="Event"
        note={
          run.parentId && (
            <>
              started by <Id id={run.parentId} href={`/runs/${run.parentId}`} />
            </>
          )
        }
      >
        <a href={`/events/${run.eventId}`}>{run.event ? `${run.event.source} ${run.event.type}` : "its event"}</a>
      </Figure>
    </dl>
  );
}

/** The events of a run that has gathered several. */
function Burst({ run }: { run: RunDetail }) {
  const events = run.events ?? [];
  if (events.length < 2) return null;
  return (
    <Panel title="Events" aside={plural(events.length, "event")}>
      <ol class="burst">
        {events.map((event) => (
          <li key={event.id} class="facts">
            <Id id={event.id} href={`/events/${event.id}`} />
            {event.source} {event.type}
            <Time at={event.receivedAt} />
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Said({ run }: { run: RunDetail }) {
  const messages = run.messages ?? [];
  if (messages.length === 0) return null;
  return (
    <Panel title="Messages" aside={plural(messages.length, "message")}>
      {messages.map((message) => (
        <article key={message.id} class="said">
          <p class="facts">
            <b>{message.author}</b>
            <Status value={message.state} />
            <Time at={message.createdAt} />
          </p>
          <Prose text={message.text} />
        </article>
      ))}
    </Panel>
  );
}
