import { useSignal } from "@preact/signals";
import type { Page, Schedule } from "../api.ts";
import { fire, pause, remove } from "../deeds.ts";
import { Figure } from "../figures.tsx";
import { Button, Command, Empty, ownDayAndTime, PageBody, Panel, Pending, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { Forecast, ScheduleForm } from "../schedule-form.tsx";
import { zone } from "../state.ts";

export function Schedules() {
  const { data, error, reload } = useQuery<Page<Schedule>>("/api/schedules", ["schedule", "run"]);
  const writing = useSignal(false);
  const close = () => {
    writing.value = false;
    reload();
  };
  const again = data?.items.filter(({ cron }) => cron !== null) ?? [];
  const once = data?.items.filter(({ cron }) => cron === null) ?? [];
  return (
    <PageBody
      title="Schedules"
      sub={`What the clock does. Times are in ${zone.value}.`}
      actions={
        !writing.value && (
          <Button kind="primary" icon="plus" onPress={() => (writing.value = true)}>
            New schedule
          </Button>
        )
      }
    >
      {writing.value && (
        <Panel title="New schedule">
          <ScheduleForm onDone={close} />
        </Panel>
      )}
      {!data && <Pending error={error} />}
      {data && data.items.length === 0 && !writing.value && (
        <Empty icon="schedules" title="Nothing is scheduled.">
          <p>Write one here, ask for one in chat, or add a capability. The weekly report is one:</p>
          <Command text="npx daimon add competitor-analysis" />
        </Empty>
      )}
      {once.length > 0 && <Once schedules={once} onChange={reload} />}
      {again.map((schedule) => (
        <ScheduleCard key={schedule.name} schedule={schedule} onChange={reload} />
      ))}
      {data?.next && (
        <p class="faint">
          These are the first {data.items.length} by name. All: <code>npx daimon schedules list</code>
        </p>
      )}
    </PageBody>
  );
}

/** Address of a schedule's own page. */
const pageOf = ({ name }: Schedule) => `/schedules/${encodeURIComponent(name)}`;

/** What happens once: reminders and the like, those that are done below. */
function Once({ schedules, onChange }: { schedules: readonly Schedule[]; onChange: () => void }) {
  const sorted = schedules.toSorted((one, other) => Number(one.done) - Number(other.done));
  return (
    <Panel title="Once" flush>
      <ul class="rows once-rows">
        {sorted.map((one) => (
          <li key={one.name} class="row">
            <a class="row-main" href={pageOf(one)}>
              <b>{one.text ?? one.name}</b> {one.agent && <span class="kind">{one.agent}</span>}
            </a>
            {one.done ? (
              <Status value="done" word="done" tone="good" />
            ) : (
              <span class="num">{one.nextAt ? ownDayAndTime(one.nextAt) : "paused"}</span>
            )}
            <Time row at={one.done ? one.lastAt : one.nextAt} />
            <Button kind="quiet" icon="close" label={`Remove ${one.name}`} onPress={() => remove(one.name, onChange)} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function ScheduleCard({ schedule, onChange }: { schedule: Schedule; onChange: () => void }) {
  return (
    <Panel
      title={<a href={pageOf(schedule)}>{schedule.name}</a>}
      aside={
        <>
          <Button kind="quiet" onPress={() => pause(schedule, onChange)}>
            {schedule.paused ? "Resume" : "Pause"}
          </Button>
          <Button icon="play" onPress={() => fire(schedule.name)}>
            Run now
          </Button>
        </>
      }
    >
      <p class="lead">{schedule.text ?? schedule.description}</p>
      <dl class="figures schedule">
        <Figure name="When" note={schedule.zone}>
          <code>{schedule.cron}</code>
        </Figure>
        <Figure name="Next">
          {schedule.paused ? <Status value="paused" tone="warn" /> : <Time at={schedule.nextAt} />}
        </Figure>
        <Figure
          name="Last"
          note={schedule.failures > 0 && <Status value="failed" word={`failed ${schedule.failures}×`} />}
        >
          <Time at={schedule.lastAt} />
        </Figure>
        <Figure name="Next five" wide>
          <Forecast preview={schedule} />
        </Figure>
      </dl>
    </Panel>
  );
}
