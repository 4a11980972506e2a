import type { ComponentChildren } from "preact";
import type { CapabilityItem, Page } from "../api.ts";
import { Command, CopyButton, Empty, PageBody, Panel, Pending, Problem, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";

export function Capabilities() {
  const { data, error } = useQuery<Page<CapabilityItem>>("/api/capabilities");
  return (
    <PageBody title="Capabilities" sub="What is installed, a folder each. What is not installed is not loaded.">
      {!data ? (
        <Pending error={error} />
      ) : data.items.length === 0 ? (
        <Empty icon="capabilities" title="Nothing is installed.">
          <Command text="npx daimon add github" />
        </Empty>
      ) : (
        data.items.map((one) => <Card key={one.name} capability={one} />)
      )}
    </PageBody>
  );
}

function Card({ capability: one }: { capability: CapabilityItem }) {
  return (
    <Panel title={one.name} aside={one.problem ? <Status value="refused" /> : <Status value="ok" word="installed" />}>
      {one.description && <p class="lead">{one.description}</p>}
      {one.problem && <Problem failure={one.problem} />}
      <dl class="fields parts">
        <Line name="Webhooks" list={one.webhooks}>
          {one.webhooks.map((webhook) => (
            <p key={webhook.source} class="facts">
              <code>{webhook.url}</code>
              <CopyButton text={webhook.url} />
              <Status
                value={webhook.ready ? "ok" : "waiting"}
                word={webhook.ready ? "ready" : "its secret is missing"}
              />
              <span class="faint">
                {webhook.lastEventAt ? (
                  <>
                    last event <Time at={webhook.lastEventAt} />
                  </>
                ) : (
                  "no event yet"
                )}
                {webhook.expectEvery && `, expected every ${webhook.expectEvery}`}
              </span>
            </p>
          ))}
        </Line>
        <Line name="Triggers" list={one.triggers}>
          {one.triggers.map((trigger) => (
            <p key={trigger.name}>
              {trigger.name} <span class="faint">on {describe(trigger.on)}</span>
            </p>
          ))}
        </Line>
        <Line name="Schedules" list={one.schedules}>
          {one.schedules.map((schedule) => (
            <p key={named(schedule)}>
              <a href="/schedules">{named(schedule)}</a>
            </p>
          ))}
        </Line>
        <Line name="Tools" list={one.tools}>
          {one.tools.map((tool) => (
            <p key={tool.name}>
              <code>{tool.name}</code> <span class="kind">{tool.effect}</span>{" "}
              <span class="faint">{tool.description}</span>
            </p>
          ))}
        </Line>
        <Line name="Agents" list={one.agents}>
          <p>{one.agents.map(named).join(", ")}</p>
        </Line>
        <Line name="Skills" list={one.skills}>
          <p>{one.skills.map(named).join(", ")}</p>
        </Line>
        <Line name="Secrets" list={one.secrets}>
          {one.secrets.map((secret) => (
            <p key={secret.name} class="facts">
              <code>{secret.name}</code>
              <Status value={secret.set ? "ok" : "waiting"} word={secret.set ? "set" : "not set"} />
              <span class="faint">{secret.description}</span>
            </p>
          ))}
        </Line>
        <Line name="Speaks to" list={one.egress}>
          <p>{one.egress.join(", ")}</p>
        </Line>
      </dl>
    </Panel>
  );
}

function Line(props: { name: string; list: readonly unknown[] | undefined; children: ComponentChildren }) {
  if (!props.list?.length) return null;
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

function named(one: unknown): string {
  return typeof one === "string" ? one : String((one as { name?: unknown } | null)?.name ?? "");
}

/** `{source, type, where}` in words. */
function describe(on: unknown): string {
  if (typeof on === "string") return on;
  const { source, type, where } = on as { source?: string; type?: string | string[]; where?: object };
  return [source, [type ?? "*"].flat().join(" or "), where ? `where ${JSON.stringify(where)}` : ""]
    .filter(Boolean)
    .join(" ");
}
