import type { ComponentChildren } from "preact";
import { type CapabilityItem, type Page, type Pausable, request, type TriggerPage } from "../api.ts";
import { plural } from "../format.ts";
import { Button, Command, CopyButton, PageBody, Panel, Pending, Problem, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { attempt } from "../state.ts";

type Kind = "trigger" | "source";
/** What is known of triggers and sources, and how to read it again. */
type Known = { readonly page: TriggerPage | undefined; readonly reload: () => void };

export function Capabilities() {
  const { data, error } = useQuery<Page<CapabilityItem>>("/api/capabilities");
  const { data: page, error: problem, reload } = useQuery<TriggerPage>("/api/triggers", ["pause", "run", "event"]);
  return (
    <PageBody title="Capabilities" sub="What is installed, a folder each. What is not installed is not loaded.">
      {!data || !page ? (
        <Pending error={error ?? problem} />
      ) : (
        <>
          {data.items.map((one) => (
            <Card key={one.name} capability={one} known={{ page, reload }} />
          ))}
          <Gone known={{ page, reload }} />
          <Panel title="Add one">
            <p class="lead">From the catalog (docs/reference/catalog.md), a folder or a git URL.</p>
            <Command text="npx daimon add payments" />
          </Panel>
        </>
      )}
    </PageBody>
  );
}

/** What was paused and is not installed any more: its runs wait until it is resumed. */
function Gone({ known }: { known: Known }) {
  const { items, sources } = known.page ?? { items: [], sources: [] };
  const kinds = [...items.map((one) => ["trigger", one] as const), ...sources.map((one) => ["source", one] as const)];
  const gone = kinds.filter(([, one]) => !one.installed);
  if (gone.length === 0) return null;
  return (
    <Panel title="Paused, and not installed any more">
      {gone.map(([kind, { name }]) => (
        <p key={`${kind}:${name}`} class="facts">
          {kind} <code>{name}</code>
          <PauseSwitch kind={kind} name={name} known={known} />
        </p>
      ))}
    </Panel>
  );
}

/** How a trigger takes many events: what it says of bursts, its rate, and runs at a time. */
function Flow({ one }: { one: Pausable | undefined }) {
  const { debounce, rate, concurrency } = one ?? {};
  const by = (key?: string) => (key ? ` for each ${key}` : "");
  const words = [
    debounce && `one run for a burst${by(debounce.key)} (${debounce.delay})`,
    rate && `at most ${rate.limit} begin in ${rate.per}${by(rate.key)}`,
    concurrency && `${concurrency.limit} at a time${by(concurrency.key)}`,
  ].filter(Boolean);
  return words.length > 0 ? <span class="faint">· {words.join(" · ")}</span> : null;
}

/** Whether it is paused, what it holds back, and the button that changes it. */
function PauseSwitch({ kind, name, known }: { kind: Kind; name: string; known: Known }) {
  const list: readonly Pausable[] = (kind === "trigger" ? known.page?.items : known.page?.sources) ?? [];
  const one = list.find((each) => each.name === name);
  if (!one) return null;
  const { paused, rate, debounce } = one.waiting;
  const turn = () =>
    attempt(
      () => request("PATCH", `/api/${kind}s/${encodeURIComponent(name)}`, { paused: !one.paused }).then(known.reload),
      one.paused ? `${name} goes on; ${plural(paused, "run")} had waited.` : `${name} is paused. What comes is kept.`,
    );
  const runs = `/runs?status=waiting${kind === "trigger" ? `&handler=trigger:${name}` : ""}`;
  return (
    <span class="pause">
      {one.paused && <Status value="paused" tone="warn" />}
      {paused + rate + debounce > 0 && (
        <a href={runs}>
          {[
            paused > 0 && `${paused} held back`,
            rate > 0 && `${rate} waiting for their turn`,
            debounce > 0 && `${debounce} gathering`,
          ]
            .filter(Boolean)
            .join(", ")}
        </a>
      )}
      <Button kind="quiet" onPress={turn} label={`${one.paused ? "Resume" : "Pause"} the ${kind} ${name}`}>
        {one.paused ? "Resume" : "Pause"}
      </Button>
    </span>
  );
}

function Card({ capability: one, known }: { capability: CapabilityItem; known: Known }) {
  return (
    <Panel title={one.name} aside={one.problem ? <Status value="refused" /> : <Status value="ok" word="installed" />}>
      {one.description && <p class="lead">{one.description}</p>}
      {one.problem && <Problem failure={one.problem} />}
      <dl class="fields parts">
        <Line name="Webhooks" list={one.webhooks}>
          {one.webhooks.map((webhook) => (
            <div key={webhook.source} class="pausable">
              <p class="facts">
                <span class="id-copy">
                  <code>{webhook.url}</code>
                  <CopyButton text={webhook.url} />
                </span>
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
              <PauseSwitch kind="source" name={webhook.source} known={known} />
            </div>
          ))}
        </Line>
        <Line name="Triggers" list={one.triggers}>
          {one.triggers.map((trigger) => (
            <div key={trigger.name} class="pausable">
              <p>
                {trigger.name} <span class="faint">on {describe(trigger.on)}</span>{" "}
                <Flow one={known.page?.items.find((each) => each.name === `${one.name}/${trigger.name}`)} />
              </p>
              <PauseSwitch kind="trigger" name={`${one.name}/${trigger.name}`} known={known} />
            </div>
          ))}
        </Line>
        <Line name="Schedules" list={one.schedules}>
          {one.schedules.map((schedule) => (
            <p key={schedule}>
              <a href={`/schedules/${encodeURIComponent(schedule)}`}>{schedule}</a>
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
          <p>{one.agents.join(", ")}</p>
        </Line>
        <Line name="Skills" list={one.skills}>
          <p>{one.skills.join(", ")}</p>
        </Line>
        <Line name="Secrets" list={one.secrets}>
          {one.secrets.map((secret) => (
            <p key={secret.name} class="facts">
              <code>{secret.name}</code>
              <Status
                value={secret.set ? "ok" : secret.required ? "waiting" : "optional"}
                word={secret.set ? "set" : secret.required ? "not set" : "not set, optional"}
              />
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

/** `{source, type, where}` in words. */
function describe({ source, type = "*", where }: CapabilityItem["triggers"][number]["on"]): string {
  return [source, [type].flat().join(" or "), where && `where ${JSON.stringify(where)}`].filter(Boolean).join(" ");
}
