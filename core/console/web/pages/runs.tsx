import type { Progress, Run } from "../api.ts";
import { money } from "../format.ts";
import {
  Choice,
  Elapsed,
  Empty,
  Handler,
  LoadMore,
  PageBody,
  Pending,
  SearchBox,
  Status,
  Tabs,
  Time,
  waitingFor,
} from "../parts.tsx";
import { useList } from "../query.ts";
import { FilterChips, PutRight, Since } from "../repair.tsx";
import { place, setQuery } from "../router.ts";
import { status } from "../state.ts";
import { Fresh } from "./events.tsx";

const FILTERS = ["status", "handler", "event", "issue", "error", "q", "since", "until", "order"];
const STATUSES = ["", "running", "waiting", "failed", "completed", "canceled", "queued"] as const;

export function Runs() {
  const query = place.value.query;
  const filter = Object.fromEntries(FILTERS.flatMap((name) => (query.get(name) ? [[name, query.get(name)!]] : [])));
  const text = new URLSearchParams(filter).toString();
  const retries = ["failed", "canceled", "waiting"].includes(
    filter.status ?? (filter.error || filter.q || filter.issue ? "failed" : ""),
  );
  const list = useList<Run>(`/api/runs${text ? `?${text}` : ""}`, ["run"]);
  const handlers = new Set((list.items ?? []).map((run) => run.handler));
  if (query.get("handler")) handlers.add(query.get("handler")!);
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
          current={query.get("status") ?? ""}
          tabs={STATUSES.map((name) => ({
            name,
            text: name ? name[0]!.toUpperCase() + name.slice(1) : "All",
            count: (name && counts[name]) || undefined,
          }))}
          onPick={(name) => setQuery("status", name)}
        />
        <span class="filters">
          <SearchBox
            label="Search the errors"
            value={query.get("q") ?? ""}
            onSearch={(value) => setQuery("q", value)}
          />
          <Choice
            label="Handler"
            any="Any handler"
            value={query.get("handler") ?? ""}
            options={[...handlers].sort()}
            onPick={(value) => setQuery("handler", value)}
          />
          <Since />
        </span>
      </div>
      <FilterChips names={["event", "issue", "error", "order", "until"]} />
      <div class="listing">
        <Fresh count={list.fresh} onShow={list.showFresh} />
        {!list.items ? (
          <Pending error={list.error} lines={10} />
        ) : list.items.length === 0 ? (
          <Empty icon="runs" title={text ? "No run is like that." : "Nothing has run yet."}>
            {text ? (
              <a href="/runs">Show all runs</a>
            ) : (
              <p>
                A run begins when an event has a trigger, a schedule fires, or you ask in the <a href="/chat">chat</a>.
              </p>
            )}
          </Empty>
        ) : (
          <RunRows items={list.items} />
        )}
        {list.items && <LoadMore list={list} />}
      </div>
    </PageBody>
  );
}

/** Runs, each leading to its page. */
export function RunRows({ items }: { items: readonly Run[] }) {
  return (
    <ul class="rows run-rows">
      {items.map((run) => (
        <li key={run.id}>
          <a class="row" data-row href={`/runs/${run.id}`}>
            <Status value={run.status} />
            <span class="row-main">
              <Handler name={run.handler} />
              {run.status === "failed" && run.error && <span class="faint"> {run.error.message}</span>}
              {run.progress && <span class="faint"> {progressText(run.progress)}</span>}
              {run.status === "waiting" && <span class="faint"> {waitingFor(run)}</span>}
            </span>
            <span class="row-cost num">{run.usd > 0 ? money(run.usd) : ""}</span>
            <span class="row-took">
              <Elapsed from={run.startedAt} to={run.finishedAt} />
            </span>
            <span class="row-time">
              <Time at={run.createdAt} />
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

const progressText = ({ total, done }: Progress) => (total === null ? "finding them" : `${done} of ${total}`);
