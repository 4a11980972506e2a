import type { Costs as CostsAnswer } from "../api.ts";
import { DayBars } from "../charts.tsx";
import { SpendPanel, Table } from "../figures.tsx";
import { count, money } from "../format.ts";
import { Empty, PageBody, Panel, Pending, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";

export function Costs() {
  const { data, error } = useQuery<CostsAnswer>("/api/costs?since=30d", ["run", "message"]);
  return (
    <PageBody title="Costs" sub="What models cost, counted in our own gateway before and after each call.">
      {!data ? (
        <Pending error={error} />
      ) : (
        <>
          <div class="two">
            <SpendPanel title="Today" of={data.today} />
            <SpendPanel title="This month" of={data.month} />
          </div>
          {data.calls.length === 0 ? (
            <Empty icon="costs" title="No model was called yet.">
              <p>
                Ask something in the <a href="/chat">chat</a>: each call stands here with its tokens and its price.
              </p>
            </Empty>
          ) : (
            <>
              <Panel title="Each day, last 30 days">
                <DayBars days={data.days} limitUsd={data.today.limitUsd} />
              </Panel>
              <Panel title="By model" flush>
                <ModelTable models={data.models} />
              </Panel>
              <Panel title="Last calls" flush>
                <CallTable calls={data.calls} />
              </Panel>
            </>
          )}
        </>
      )}
    </PageBody>
  );
}

function ModelTable({ models }: { models: CostsAnswer["models"] }) {
  const tokens = ["inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"] as const;
  return (
    <div class="table-scroll">
      <Table
        words={["Model"]}
        figures={["Calls", "In", "Out", "From cache", "Into cache", "Cost"]}
        rows={models.map((one) => ({
          key: one.model,
          cells: [one.model, count(one.calls), ...tokens.map((name) => count(one[name])), money(one.usd)],
        }))}
      />
    </div>
  );
}

function CallTable({ calls }: { calls: CostsAnswer["calls"] }) {
  const tokens = ["promptTokens", "inputTokens", "outputTokens"] as const;
  return (
    <div class="table-scroll">
      <Table
        words={["When", "Run and step", "Model"]}
        figures={["Prompt", "In", "Out", "Cost"]}
        rows={calls.map((one) => ({
          key: one.runId + one.step,
          cells: [
            <Time key="at" at={one.at} />,
            <a key="step" href={`/runs/${one.runId}`}>
              {one.step}
            </a>,
            one.demo ? "demo, no model" : one.model,
            ...tokens.map((name) => count(one[name])),
            money(one.usd),
          ],
        }))}
      />
    </div>
  );
}
