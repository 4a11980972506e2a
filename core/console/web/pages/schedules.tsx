import { type Page, request, type Schedule } from "../api.ts";
import { fire } from "../deeds.ts";
import { dayAndTime } from "../format.ts";
import { Button, Command, Empty, PageBody, Panel, Pending, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { attempt, zone } from "../state.ts";

export function Schedules() {
  const { data, error, reload } = useQuery<Page<Schedule>>("/api/schedules", ["schedule", "run"]);
  return (
    <PageBody title="Schedules" sub={`What the clock does. Times are in ${zone.value}.`}>
      {!data ? (
        <Pending error={error} />
      ) : data.items.length === 0 ? (
        <Empty icon="schedules" title="Nothing is scheduled.">
          <p>A schedule comes with a capability. The weekly report is one:</p>
          <Command text="npx daimon add competitor-analysis" />
        </Empty>
      ) : (
        data.items.map((schedule) => <ScheduleCard key={schedule.name} schedule={schedule} onChange={reload} />)
      )}
    </PageBody>
  );
}

function ScheduleCard({ schedule, onChange }: { schedule: Schedule; onChange: () => void }) {
  const pause = () =>
    attempt(
      () =>
        request("PATCH", `/api/schedules/${encodeURIComponent(schedule.name)}`, {
          paused: !schedule.paused,
        }).then(onChange),
      schedule.paused ? `${schedule.name} runs again.` : `${schedule.name} is paused.`,
    );
  return (
    <Panel
      title={schedule.name}
      aside={
        <>
          <Button kind="quiet" onPress={pause}>
            {schedule.paused ? "Resume" : "Pause"}
          </Button>
          <Button icon="play" onPress={() => fire(schedule.name)}>
            Run now
          </Button>
        </>
      }
    >
      {schedule.description && <p class="lead">{schedule.description}</p>}
      <dl class="figures schedule">
        <div>
          <dt>When</dt>
          <dd>
            <code>{schedule.cron}</code>
          </dd>
          <dd class="faint">{schedule.zone}</dd>
        </div>
        <div>
          <dt>Next</dt>
          <dd>
            {schedule.paused ? (
              <Status value="paused" tone="warn" />
            ) : (
              <Time at={schedule.nextAt ?? schedule.next[0]} />
            )}
          </dd>
        </div>
        <div>
          <dt>Last</dt>
          <dd>
            <Time at={schedule.lastAt} />
          </dd>
        </div>
        <div class="wide">
          <dt>Next five</dt>
          <dd>
            <ol class={`next-times${schedule.paused ? " off" : ""}`}>
              {schedule.next.slice(0, 5).map((at) => (
                <li key={at}>{dayAndTime(new Date(at), zone.value)}</li>
              ))}
            </ol>
          </dd>
        </div>
      </dl>
    </Panel>
  );
}
