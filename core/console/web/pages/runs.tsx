import type { Page, Progress, Run, Schedule, Step, TriggerPage } from "../api.ts";
import { money, plural, waitingFor } from "../format.ts";
import { FilterChoice, Listing, Row, readFilter, SearchBox, Since } from "../listing.tsx";
import { Elapsed, Empty, Handler, PageBody, Status, Tabs, Time } from "../parts.tsx";
import { type Query, useList, useQuery } from "../query.ts";
import { FilterChips, PutRight } from "../repair.tsx";
import { setQuery } from "../router.ts";
import { status } from "../state.ts";

const FILTERS = ["status", "handler", "event", "issue", "error", "q", "since", "until", "order"];
const STATUSES = ["", "running", "waiting", "failed", "completed", "canceled", "queued"] as const;

export function Runs() {
  const filter = readFilter(FILTERS);
  const text = new URLSearchParams(filter).toString();
  const retries = ["failed", "canceled", "waiting"].includes(
    filter.status ?? (filter.error || filter.q || filter.issue ? "failed" : ""),
  );
  const list = useList<Run>(`/api/runs${text ? `?${text}` : ""}`, ["run"]);
  const triggers = useQuery<TriggerPage>("/api/triggers");
  const schedules = useQuery<Page<Schedule>>("/api/schedules?limit=200");
  const agents = useQuery<Page<{ name: string }>>("/api/agents");
  const named = (kind: string, of: Query<Page<{ readonly name: string }>>) =>
    (of.data?.items ?? []).map(({ name }) => `${kind}:${name}`);
  const handlers = new Set([
    ...[...named("trigger", triggers), ...named("schedule", schedules), ...named("agent", agents)],
    ...(list.items ?? []).map((run) => run.handler),
    ...(filter.handler ? [filter.handler] : []),
  ]);
  const counts: Readonly<Record<string, number | undefined>> = status.value?.counts ?? {};
  return (
    <PageBody
      title="Runs"
      sub="What was done about it: every handler, step by step."
      actions={retries && list.items && list.items.length > 0 && <PutRight kind="retry" filter={filter} />}
    >
      <div class="toolbar">
        <Tabs
          label="Status"
          current={filter.status ?? ""}
          tabs={STATUSES.map((name) => ({
            name,
            text: name ? name[0]!.toUpperCase() + name.slice(1) : "All",
            count: (name && counts[name]) || undefined,
          }))}
          onPick={(name) => setQuery("status", name)}
        />
        <span class="filters">
          <SearchBox label="Search the errors" />
          <FilterChoice name="handler" label="Handler" any="Any handler" options={[...handlers].sort()} />
          <Since />
        </span>
      </div>
      <FilterChips names={["event", "issue", "error", "order", "until"]} />
      <Listing list={list} empty={<NoRuns filtered={text !== ""} />}>
        {(items) => <RunRows items={items} />}
      </Listing>
    </PageBody>
  );
}

function NoRuns({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty icon="runs" title="No run is like that.">
      <a href="/runs">Show all runs</a>
    </Empty>
  ) : (
    <Empty icon="runs" title="Nothing has run yet.">
      <p>
        A run begins when an event has a trigger, a schedule fires, or you ask in the <a href="/chat">chat</a>.
      </p>
    </Empty>
  );
}

/** Runs, each leading to its page; of those whose steps are known, their number stands for the cost. */
export function RunRows({ items }: { items: readonly (Run & { readonly steps?: readonly Step[] })[] }) {
  return (
    <ul class="rows run-rows">
      {items.map((run) => (
        <Row key={run.id} href={`/runs/${run.id}`}>
          <Status value={run.status} />
          <span class="row-main">
            <Handler name={run.handler} />
            {run.progress && <span class="faint"> {progressText(run.progress)}</span>}
            <span class="faint"> {run.status === "waiting" ? waitingFor(run) : errorOf(run)}</span>
          </span>
          <span class="row-cost num">{run.steps ? plural(run.steps.length, "step") : costOf(run)}</span>
          <span class="row-took">
            <Elapsed from={run.startedAt} to={run.finishedAt} />
          </span>
          <Time row at={run.createdAt} />
        </Row>
      ))}
    </ul>
  );
}

const progressText = ({ total, done }: Progress) => (total === null ? "finding them" : `${done} of ${total}`);
const errorOf = ({ status, error }: Run) => (status === "completed" ? "" : error?.message);
const costOf = ({ usd }: Run) => (usd > 0 ? money(usd) : "");
