import { type EventDetail, type IssueDetail, request } from "../api.ts";
import { Figure } from "../figures.tsx";
import { plural } from "../format.ts";
import { Icon } from "../icons.tsx";
import { MarkedJson } from "../json.tsx";
import {
  Button,
  CopyableId,
  Frames,
  Id,
  KindMark,
  PageBody,
  Panel,
  Pending,
  PendingPage,
  Problem,
  Status,
  Time,
} from "../parts.tsx";
import { useQuery } from "../query.ts";
import { PutRight } from "../repair.tsx";
import { attempt, loadStatus } from "../state.ts";
import { RunRows } from "./runs.tsx";

const BACK = { href: "/issues", text: "Issues" };

/** What closing one means. */
const CLOSED = {
  failure: "Closed. It comes back when the same fails again.",
  silence: "Closed. It is waited for as long again.",
  shape: "Closed. The new shape is the known one now.",
} as const;

export function IssuePage({ id }: { id: string }) {
  const { data: issue, error, reload } = useQuery<IssueDetail>(`/api/issues/${id}`, ["issue", "run"]);
  if (!issue) return <PendingPage title="Issue" back={BACK} error={error} />;
  const close = () =>
    attempt(async () => {
      await request("PATCH", `/api/issues/${id}`, { status: "closed" });
      reload();
      await loadStatus();
    }, CLOSED[issue.kind]);
  return (
    <PageBody
      title={issue.title}
      back={BACK}
      sub={
        <span class="facts">
          <Status value={issue.status} />
          <KindMark issue={issue} />
          <span>{issue.about}</span>
          <CopyableId id={issue.id} />
        </span>
      }
      actions={
        <>
          {issue.runs.length > 0 && (
            <>
              <PutRight kind="retry" filter={{ issue: id }} />
              <PutRight kind="replay" filter={{ issue: id, handler: issue.about }} />
            </>
          )}
          {issue.kind !== "failure" && (
            <a class="button plain" href={whatCame(issue)}>
              <Icon name="events" /> What came
            </a>
          )}
          {issue.status === "open" && (
            <Button kind="primary" icon="check" onPress={close}>
              {issue.kind === "shape" ? "Accept the new shape" : "Close"}
            </Button>
          )}
        </>
      }
    >
      <Evidence issue={issue} />
      <Figures issue={issue} />
      {issue.runs.length > 0 && (
        <Panel title="Newest runs" aside={<a href={`/runs?issue=${issue.id}`}>All its runs</a>} flush>
          <RunRows items={issue.runs} />
        </Panel>
      )}
      {issue.messages.length > 0 && (
        <Panel title="Newest messages" aside={plural(issue.messages.length, "message")}>
          {issue.messages.map((message) => (
            <article key={message.id} class="said">
              <p class="facts">
                <Status value={message.state} />
                <Time at={message.createdAt} />
                {message.runId && <Id id={message.runId} href={`/runs/${message.runId}`} />}
              </p>
              <p class="plain">{message.text}</p>
            </article>
          ))}
        </Panel>
      )}
    </PageBody>
  );
}

/** The events of a source or of a source and a type, or the runs of a schedule. */
function whatCame({ about }: IssueDetail): string {
  if (about.startsWith("schedule:")) return `/runs?${new URLSearchParams({ handler: about })}`;
  const [source = "", type] = about.split(/ (.*)/);
  return `/events?${new URLSearchParams({ source, ...(type ? { type } : {}) })}`;
}

/** What shows it: the newest error and where it was thrown, since when it is silent, or the two samples. */
function Evidence({ issue }: { issue: IssueDetail }) {
  if (issue.kind === "shape") return <Samples issue={issue} />;
  if (issue.kind === "silence") {
    const open = issue.status === "open";
    const question = issue.about.startsWith("schedule:")
      ? "Does it fire, and do its runs complete?"
      : "Does the sender still send, and to this address?";
    return (
      <p class="note waiting-note">
        <Status
          value={open ? "waiting" : "closed"}
          word={open ? question : "It was heard again, or somebody closed it."}
        />
        <span class="faint">
          Before that: <Time at={issue.detail?.lastAt} />.
        </span>
      </p>
    );
  }
  const error = issue.runs[0]?.error ?? issue.messages[0]?.error ?? null;
  return (
    <>
      {error && <Problem failure={error} />}
      <Frames of={error} />
    </>
  );
}

function Figures({ issue }: { issue: IssueDetail }) {
  return (
    <dl class="figures">
      <Figure name="Met">{issue.count === 1 ? "once" : plural(issue.count, "time")}</Figure>
      <Figure name="First">
        <Time at={issue.firstAt} />
      </Figure>
      <Figure name="Last">
        <Time at={issue.lastAt} />
      </Figure>
      <Figure name="Opened" note={issue.openings > 1 && `came back, ${plural(issue.openings, "opening")}`}>
        <Time at={issue.openedAt} />
      </Figure>
      <Figure name="Last closed" note={issue.closedAt && (issue.closedBy ? `by ${issue.closedBy}` : "by itself")}>
        <Time at={issue.closedAt} />
      </Figure>
    </dl>
  );
}

/** What differs, and the two events beside each other, unfolded where they differ. */
function Samples({ issue }: { issue: IssueDetail }) {
  const marks = (issue.detail?.differences ?? []).map((difference) => difference.path);
  return (
    <>
      <Panel title="What changed">
        <ul class="differences">
          {issue.differences.map((difference) => (
            <li key={difference}>
              <code>{difference.split(" ")[0]}</code> {difference.split(" ").slice(1).join(" ")}
            </li>
          ))}
        </ul>
      </Panel>
      <div class="samples">
        <Sample title="Before" id={issue.detail?.before} marks={marks} />
        <Sample title="After" id={issue.detail?.after} marks={marks} />
      </div>
    </>
  );
}

function Sample({ title, id, marks }: { title: string; id: string | undefined; marks: readonly string[] }) {
  const { data: event, error } = useQuery<EventDetail>(id ? `/api/events/${id}` : null);
  return (
    <Panel
      title={title}
      aside={
        id && (
          <>
            {event && <Time at={event.receivedAt} />} <Id id={id} href={`/events/${id}`} />
          </>
        )
      }
    >
      {event ? <MarkedJson value={event.data} marks={marks} /> : <Pending error={error} />}
    </Panel>
  );
}
