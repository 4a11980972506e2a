import type { Costs as CostsAnswer } from "../api.ts";
import { DayBars } from "../charts.tsx";
import { count, money } from "../format.ts";
import { Empty, Meter, PageBody, Panel, Pending, Time } from "../parts.tsx";
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
            <Panel title="Today">
              <p class="big num">
                {money(data.today.usd)} <span class="faint">of {money(data.today.limitUsd)}</span>
              </p>
              <Meter value={data.today.usd} limit={data.today.limitUsd} label="Spent today" />
            </Panel>
            <Panel title="This month">
              <p class="big num">
                {money(data.month.usd)} <span class="faint">of {money(data.month.limitUsd)}</span>
              </p>
              <Meter value={data.month.usd} limit={data.month.limitUsd} label="Spent this month" />
            </Panel>
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
  return (
    <div class="table-scroll">
      <table>
        <thead>
          <tr>
            <th>Model</th>
            <th class="align-right">Calls</th>
            <th class="align-right">In</th>
            <th class="align-right">Out</th>
            <th class="align-right">From cache</th>
            <th class="align-right">Into cache</th>
            <th class="align-right">Cost</th>
          </tr>
        </thead>
        <tbody>
          {models.map((one) => (
            <tr key={one.model}>
              <td>{one.model}</td>
              <td class="align-right">{count(one.calls)}</td>
              <td class="align-right">{count(one.inputTokens)}</td>
              <td class="align-right">{count(one.outputTokens)}</td>
              <td class="align-right">{count(one.cacheReadTokens)}</td>
              <td class="align-right">{count(one.cacheWriteTokens)}</td>
              <td class="align-right">{money(one.usd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function CallTable({ calls }: { calls: CostsAnswer["calls"] }) {
  return (
    <div class="table-scroll">
      <table>
        <thead>
          <tr>
            <th>When</th>
            <th>Run and step</th>
            <th>Model</th>
            <th class="align-right">Prompt</th>
            <th class="align-right">In</th>
            <th class="align-right">Out</th>
            <th class="align-right">Cost</th>
          </tr>
        </thead>
        <tbody>
          {calls.map((one) => (
            <tr key={one.runId + one.step}>
              <td>
                <Time at={one.at} />
              </td>
              <td>
                <a href={`/runs/${one.runId}`}>{one.step}</a>
              </td>
              <td>{one.demo ? "demo, no model" : one.model}</td>
              <td class="align-right">{count(one.promptTokens)}</td>
              <td class="align-right">{count(one.inputTokens)}</td>
              <td class="align-right">{count(one.outputTokens)}</td>
              <td class="align-right">{money(one.usd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
