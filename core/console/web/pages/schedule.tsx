import { useSignal } from "@preact/signals";
import type { Schedule, Tick } from "../api.ts";
import { fire, pause, remove, scheduleUrl } from "../deeds.ts";
import { Pairs } from "../figures.tsx";
import { absolute, duration } from "../format.ts";
import { LoadMore } from "../listing.tsx";
import {
  Button,
  Empty,
  LabelMark,
  ownDayAndTime,
  PageBody,
  Panel,
  Pending,
  PendingPage,
  RunState,
  Status,
  Time,
} from "../parts.tsx";
import { useList, useQuery } from "../query.ts";
import { go } from "../router.ts";
import { Forecast, ScheduleForm } from "../schedule-form.tsx";
import { zone } from "../state.ts";

const BACK = { href: "/schedules", text: "Schedules" };
const ORIGIN = { code: "from a capability", owner: "made by you", agent: "made by an agent" };

export function SchedulePage({ id: name }: { id: string }) {
  const path = scheduleUrl(name);
  const { data: schedule, error, reload } = useQuery<Schedule>(path, ["schedule", "run"]);
  const writing = useSignal(false);
  if (!schedule) return <PendingPage title={name} back={BACK} error={error} />;
  return (
    <PageBody
      title={name}
      back={BACK}
      sub={schedule.text ?? schedule.description}
      actions={
        <>
          {schedule.origin !== "code" && (
            <>
              <Button kind="quiet" onPress={() => remove(name, () => go("/schedules"))}>
                Remove
              </Button>
              <Button onPress={() => (writing.value = !writing.value)}>Edit</Button>
            </>
          )}
          {!schedule.done && (
            <Button onPress={() => pause(schedule, reload)}>{schedule.paused ? "Resume" : "Pause"}</Button>
          )}
          <Button icon="play" kind="primary" onPress={() => fire(name)}>
            Run now
          </Button>
        </>
      }
    >
      {writing.value && (
        <Panel title="Change it">
          <ScheduleForm
            of={schedule}
            onDone={() => {
              writing.value = false;
              reload();
            }}
          />
        </Panel>
      )}
      <Panel title={schedule.paused ? "Paused" : schedule.done ? "Done" : "What is to come"}>
        <Forecast preview={schedule} />
        {schedule.done && <p class="faint">It has fired, and does not come again.</p>}
        <Policy schedule={schedule} />
      </Panel>
      <Ticks path={`${path}/ticks`} name={name} />
    </PageBody>
  );
}

function Policy({ schedule }: { schedule: Schedule }) {
  const { catchup, window, overlap, jitter, jitterMs, onFailure, heldAt, failures } = schedule;
  const rows: [string, preact.ComponentChildren][] = [
    ["When", schedule.cron ? <code>{`${schedule.cron}  ${schedule.zone}`}</code> : `once, ${schedule.zone}`],
    ["Does", schedule.agent ? `asks ${schedule.agent}` : schedule.text === null ? "runs its code" : "reminds you"],
    ["Missed ticks", `${catchup}, within ${window}`],
    ["Overlap", overlap],
    ["Failures", `told after ${onFailure.after} in a row${failures > 0 ? `; ${failures} now` : ""}`],
    ["Is", ORIGIN[schedule.origin]],
  ];
  if (jitterMs > 0) rows.push(["Jitter", `${duration(jitterMs)} of ${jitter}, the same each time`]);
  if (heldAt) rows.push(["Waits its turn", ownDayAndTime(heldAt)]);
  if (schedule.label.integrity === "untrusted") rows.push(["Label", <LabelMark key="label" label={schedule.label} />]);
  return <Pairs class="fields policy" of={rows} />;
}

function Ticks({ path, name }: { path: string; name: string }) {
  const list = useList<Tick>(
    path,
    (change) => change.kind === "event" || (change.kind === "schedule" && change.id === name),
  );
  return (
    <Panel
      title="History"
      flush
      aside={
        list.fresh > 0 && (
          <Button kind="quiet" onPress={list.showFresh}>
            {list.fresh} new
          </Button>
        )
      }
    >
      {!list.items ? (
        <Pending error={list.error} lines={3} />
      ) : list.items.length === 0 ? (
        <Empty icon="schedules" title="It has not fired yet." />
      ) : (
        <ul class="rows tick-rows">
          {list.items.map((tick) => (
            <li key={tick.id} class="row">
              <a class="tick-for" href={`/events/${tick.id}`} title={absolute(new Date(tick.nominal), zone.value)}>
                {ownDayAndTime(tick.nominal)}
              </a>
              <Status value={tick.outcome} />
              <span class="row-main">
                {tick.reason}
                {tick.runs.map((run) => (
                  <RunState key={run.id} id={run.id} />
                ))}
              </span>
              <span class="row-took">{tick.manual ? "by hand" : `${duration(tick.lateMs)} late`}</span>
              <Time row at={tick.firedAt} />
            </li>
          ))}
        </ul>
      )}
      <LoadMore list={list} />
    </Panel>
  );
}
