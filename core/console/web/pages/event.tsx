import { useSignal } from "@preact/signals";
import { type EventDetail, request } from "../api.ts";
import { EditReplay } from "../edit.tsx";
import { Pairs } from "../figures.tsx";
import { bytes, clock, curl, failedLike, plural } from "../format.ts";
import { Json } from "../json.tsx";
import {
  Button,
  CopyableId,
  CopyButton,
  Elapsed,
  Empty,
  Id,
  LabelMark,
  PageBody,
  PendingPage,
  Problem,
  Status,
  Tabs,
  Time,
} from "../parts.tsx";
import { useQuery } from "../query.ts";
import { attempt, toast, zone } from "../state.ts";
import { RunRows } from "./runs.tsx";

const BACK = { href: "/events", text: "Events" };

type Tab = "data" | "headers" | "raw" | "runs";

const MEANING = {
  dispatched: "Its triggers were found and their runs queued, in the same transaction.",
  ignored: "No trigger wants this source and type.",
  filtered: "A trigger wants this type, but not this data.",
  skipped: "A schedule's tick that was missed, or overlapped the run before.",
  dead: "A run of it has failed for good, or it could not be read.",
} as const;

export function EventPage({ id }: { id: string }) {
  const { data: event, error, reload } = useQuery<EventDetail>(`/api/events/${id}`, ["run", "step", "approval"]);
  const tab = useSignal<Tab>("data");
  const edits = useSignal(false);
  if (!event) return <PendingPage title="Event" back={BACK} error={error} />;
  const replay = () =>
    attempt(async () => {
      const { runIds } = await request<{ runIds: string[] }>("POST", `/api/events/${id}/replays`);
      reload();
      if (runIds.length === 0) return toast("bad", "No trigger wants this event now, so nothing ran.");
      tab.value = "runs";
      toast("good", `Replayed: ${plural(runIds.length, "run")} of today's triggers on the same event.`);
    });
  return (
    <PageBody
      title={`${event.source} ${event.type}`}
      heading={
        <>
          {event.source} <span class="soft">{event.type}</span>
        </>
      }
      back={BACK}
      sub={
        <span class="facts">
          <Status value={event.outcome} />
          <Time at={event.receivedAt} />
          <LabelMark label={event.label} />
          <CopyableId id={event.id} />
        </span>
      }
      actions={
        <>
          {event.request && <CopyButton text={curl(event.request, location.origin)}>Copy as curl</CopyButton>}
          <Button
            icon="tool"
            onPress={() => (edits.value = !edits.value)}
            title="Replay it with other data, as a new event"
          >
            Edit and replay
          </Button>
          <Button icon="retry" onPress={replay} title="Run the current triggers on this event again">
            Replay
          </Button>
        </>
      }
    >
      <Way event={event} />
      {event.replays.length > 0 && (
        <p class="note">
          Replayed with other data as
          {event.replays.map((one) => (
            <Id key={one} id={one} href={`/events/${one}`} />
          ))}
        </p>
      )}
      {edits.value && <EditReplay event={event} onClose={() => (edits.value = false)} />}
      <WhyDead event={event} />
      <Tabs
        label="Parts of the event"
        current={tab.value}
        onPick={(name) => (tab.value = name)}
        tabs={[
          { name: "data", text: "Data" },
          ...(event.request
            ? ([
                { name: "headers", text: "Headers", count: Object.keys(event.request.headers).length },
                { name: "raw", text: "Raw body" },
              ] as const)
            : []),
          { name: "runs", text: "Runs", count: event.runs.length },
        ]}
      />
      <TabContent event={event} tab={tab.value} />
    </PageBody>
  );
}

/** Why it is dead, and where to go from there. */
function WhyDead({ event }: { event: EventDetail }) {
  if (event.outcome !== "dead") return null;
  const run = event.problem ? undefined : event.runs.findLast((one) => one.status === "failed");
  const next = event.problem
    ? "The raw body below is exactly what came."
    : "Mend what made it fail, then replay it, or all that failed like it.";
  return (
    <Problem failure={{ code: "event.dead", message: event.reason ?? MEANING.dead, next }}>
      {run && (
        <span class="actions">
          <a class="button plain" href={`/runs/${run.id}`}>
            The run
          </a>
          <a class="button plain" href={failedLike(run)}>
            All that failed like this
          </a>
        </span>
      )}
    </Problem>
  );
}

/** The way of the event in one line: came in, proved, kept, ran. */
function Way({ event }: { event: EventDetail }) {
  const finished = event.runs.flatMap((run) => run.finishedAt ?? []).sort();
  const came = event.source === "schedule" ? "Fired by the clock" : event.source === "chat" ? "You said it" : "Came in";
  return (
    <ol class="way">
      <li>
        {event.replayOf ? (
          <b>
            You edited <Id id={event.replayOf} href={`/events/${event.replayOf}`} />
          </b>
        ) : (
          <b>{event.request ? `${event.request.method} ${event.request.url}` : came}</b>
        )}
        <span>{clock(new Date(event.receivedAt), zone.value)}</span>
      </li>
      {event.request && (
        <li>
          <b>Signature right</b>
          <span>over the exact bytes</span>
        </li>
      )}
      <li>
        <b>Kept</b>
        <span title={event.key}>key {event.key}</span>
      </li>
      <li data-tone={event.outcome === "dead" ? "bad" : undefined}>
        <b>{event.outcome}</b>
        <span>{event.reason ?? MEANING[event.outcome]}</span>
      </li>
      {event.runs.length > 0 && (
        <li>
          <b>
            {event.runs.length === 1 ? (
              <a href={`/runs/${event.runs[0]!.id}`}>1 run</a>
            ) : (
              plural(event.runs.length, "run")
            )}
          </b>
          <span>
            {finished.length === event.runs.length ? (
              <>
                done in <Elapsed from={event.receivedAt} to={finished.at(-1) ?? null} />
              </>
            ) : (
              `${event.runs.length - finished.length} under way`
            )}
          </span>
        </li>
      )}
    </ol>
  );
}

function TabContent({ event, tab }: { event: EventDetail; tab: Tab }) {
  const { request: raw } = event;
  if (tab === "headers" && raw) {
    return <Pairs class="fields framed mono" of={Object.entries(raw.headers)} />;
  }
  if (tab === "raw" && raw) {
    const size = Math.floor((raw.bodyBase64.replace(/=+$/, "").length * 3) / 4);
    return (
      <>
        <p class="note">
          {bytes(size)}, exactly as they came{raw.body === null ? "; not UTF-8, so shown as base64" : ""}.
          <CopyButton text={raw.body ?? raw.bodyBase64} />
        </p>
        <pre class="raw">{raw.body ?? raw.bodyBase64}</pre>
      </>
    );
  }
  if (tab === "runs") {
    return event.runs.length === 0 ? (
      <Empty icon="runs" title="Nothing ran.">
        <p>{event.reason ?? MEANING[event.outcome]}</p>
      </Empty>
    ) : (
      <RunRows items={event.runs} />
    );
  }
  return (
    <div class="framed">
      <Json value={event.data} open={3} />
    </div>
  );
}
