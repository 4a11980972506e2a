import type { ComponentChildren } from "preact";
import type { Approval, EventItem, IssueItem, Page, Refusal } from "../api.ts";
import { ApprovalCard } from "../approval.tsx";
import { SpendPanel } from "../figures.tsx";
import { plural } from "../format.ts";
import { Icon } from "../icons.tsx";
import { Row } from "../listing.tsx";
import { Command, Empty, KindMark, PageBody, Panel, Pending, Problem, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { status } from "../state.ts";
import { Checklist } from "./checklist.tsx";
import { RunsOf } from "./events.tsx";
import { RefusalMark } from "./refusals.tsx";

export function Home() {
  const now = status.value;
  return (
    <PageBody title="Home" heading={greeting()}>
      <div class="home">
        <div class="home-main">
          {now?.demo && <DemoBanner />}
          {now?.problems.map((problem) => (
            <Problem key={problem.code + problem.message} failure={problem} tone="warn" />
          ))}
          <NeedsYou>
            <Checklist />
            <Feed />
          </NeedsYou>
        </div>
        <div class="home-side">
          {now && <SpendPanel title="Spent today" of={now.today} aside={<a href="/costs">Costs</a>} />}
          <Counts />
          <Models />
        </div>
      </div>
    </PageBody>
  );
}

function greeting(): string {
  const name = status.value?.owner.name;
  return name && name !== "you" ? `Hello, ${name}` : "Home";
}

function DemoBanner() {
  const file = status.value?.envFile ?? "home/.env";
  return (
    <section class="banner" aria-label="Demo">
      <Icon name="alert" />
      <div>
        <p>
          <strong>demo, no model.</strong> A scripted stand-in answers, here on this machine. It knows little and costs
          nothing: a small price is counted, so that limits can be seen to work. Everything around it is real.
        </p>
        <p class="next">
          Make it real: this asks for a key and keeps it in <code>{file}</code>. Then start again.
        </p>
        <Command text="npx daimon init" />
      </div>
    </section>
  );
}

const MOST_OF_EACH = 3;

/** What only a person can move: approvals and open issues, the newest of each; what stands below waits for them. */
function NeedsYou({ children }: { children: ComponentChildren }) {
  const approvals = useQuery<Page<Approval>>("/api/approvals?status=waiting", ["approval", "run"]);
  const open = useQuery<Page<IssueItem>>(`/api/issues?status=open&limit=${MOST_OF_EACH}`, ["issue", "run"]);
  const waiting = approvals.data?.items.slice(0, MOST_OF_EACH) ?? [];
  const issues = open.data?.items ?? [];
  if (!(approvals.data ?? approvals.error) || !(open.data ?? open.error)) return <Pending error={null} />;
  if (waiting.length + issues.length === 0) return <>{children}</>;
  const more = [
    [(status.value?.approvals ?? 0) - waiting.length, "more to answer", "/approvals"],
    [(status.value?.issues ?? 0) - issues.length, "more open", "/issues"],
  ] as const;
  return (
    <>
      <Panel title="Needs you">
        {waiting.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} withRun onAnswer={approvals.reload} />
        ))}
        <ul class="failed-runs">
          {issues.map((issue) => (
            <li key={issue.id}>
              <a href={`/issues/${issue.id}`} data-row>
                <KindMark issue={issue} />
                <span class="row-main">
                  <b>{issue.title}</b>
                  <span class="faint">
                    {issue.kind === "failure" && issue.about}
                    {issue.count > 1 && ` ${plural(issue.count, "time")}`}
                  </span>
                </span>
                <Time at={issue.lastAt} />
              </a>
            </li>
          ))}
          {more.map(
            ([count, words, address]) =>
              count > 0 && (
                <li key={address}>
                  <a class="all" href={address}>
                    {count} {words}
                  </a>
                </li>
              ),
          )}
        </ul>
      </Panel>
      {children}
    </>
  );
}

type FeedItem = { readonly at: string; readonly event: EventItem } | { readonly at: string; readonly refusal: Refusal };

function Feed() {
  const events = useQuery<Page<EventItem>>("/api/events?limit=25", ["event", "run"]);
  const refusals = useQuery<Page<Refusal>>("/api/refusals", ["refusal"]);
  const oldest = events.data?.next ? (events.data.items.at(-1)?.receivedAt ?? "") : "";
  const items: FeedItem[] = [
    ...(events.data?.items ?? []).map((event) => ({ at: event.receivedAt, event })),
    ...(refusals.data?.items ?? [])
      .filter((refusal) => refusal.lastAt > oldest)
      .map((refusal) => ({ at: refusal.lastAt, refusal })),
  ].sort((one, other) => other.at.localeCompare(one.at));
  return (
    <Panel title="What comes in" flush aside={<a href="/events">All events</a>}>
      {!events.data ? (
        <Pending error={events.error} />
      ) : items.length === 0 ? (
        <Empty icon="events" title="Quiet so far.">
          <p>Send the first event with the buttons above, or from a terminal:</p>
          <Command text="npx daimon send github push" />
        </Empty>
      ) : (
        <ul class="rows feed-rows">
          {items.slice(0, 25).map((item) =>
            "event" in item ? (
              <Row key={item.event.id} href={`/events/${item.event.id}`}>
                <Time row at={item.at} />
                <span class="row-main">
                  <b>{item.event.source}</b> <span>{item.event.type}</span>
                </span>
                <span class="row-runs">
                  {item.event.runs.total ? <RunsOf runs={item.event.runs} /> : <Status value={item.event.outcome} />}
                </span>
              </Row>
            ) : (
              <Row key={item.refusal.source + item.refusal.reason} href="/events/refusals">
                <Time row at={item.at} />
                <span class="row-main">
                  <b>{item.refusal.source}</b> <span>{item.refusal.reason}</span>
                  {item.refusal.count > 1 && <span class="faint"> {item.refusal.count} times</span>}
                </span>
                <span class="row-runs">
                  <RefusalMark refusal={item.refusal} />
                </span>
              </Row>
            ),
          )}
        </ul>
      )}
    </Panel>
  );
}

function Counts() {
  const counts = status.value?.counts;
  if (!counts) return null;
  return (
    <Panel title="Runs" aside={<a href="/runs">All runs</a>}>
      <ul class="counts">
        {(["running", "queued", "waiting", "failed"] as const).map((name) => (
          <li key={name}>
            <a href={`/runs?status=${name}`}>
              <Status value={counts[name] ? name : "none"} word={name} />
              <b class="num">{counts[name]}</b>
            </a>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Models() {
  const models = status.value?.models ?? [];
  if (models.length === 0) return null;
  return (
    <Panel title="Models">
      <ul class="models">
        {models.map((one) => (
          <li key={one.role}>
            <span class="soft">{one.role}</span>
            <span>{one.demo ? "demo, no model" : one.model}</span>
            {one.problem && <Problem failure={one.problem} />}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
