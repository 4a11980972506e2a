import type { CapabilityItem, EventItem, Page, Refusal } from "../api.ts";
import { plural } from "../format.ts";
import { Button, Choice, Command, Empty, Id, PageBody, Pending, SearchBox, Status, Tabs, Time } from "../parts.tsx";
import { useList, useQuery } from "../query.ts";
import { place, setQuery } from "../router.ts";
import { attempt } from "../state.ts";

const OUTCOMES = ["dispatched", "ignored", "filtered", "skipped", "dead"];

export function Events() {
  const query = place.value.query;
  const filters = new URLSearchParams();
  for (const name of ["source", "type", "outcome", "q"]) {
    const value = query.get(name);
    if (value) filters.set(name, value);
  }
  const text = filters.toString();
  const list = useList<EventItem>(`/api/events${text ? `?${text}` : ""}`, ["event", "run"]);
  const capabilities = useQuery<Page<CapabilityItem>>("/api/capabilities");
  const sources = new Set([
    "chat",
    "schedule",
    ...(capabilities.data?.items ?? []).flatMap((one) => one.webhooks.map((webhook) => webhook.source)),
    ...(list.items ?? []).map((event) => event.source),
    ...query.getAll("source"),
  ]);
  return (
    <PageBody title="Events" sub="Every fact that came in, kept for ever: webhooks, the clock, and you.">
      <div class="toolbar">
        <EventTabs current="events" />
        <span class="filters">
          <SearchBox
            label="Search the bodies"
            value={query.get("q") ?? ""}
            onSearch={(value) => setQuery("q", value)}
          />
          <Choice
            label="Source"
            any="Any source"
            value={query.get("source") ?? ""}
            options={[...sources].sort()}
            onPick={(value) => setQuery("source", value)}
          />
          <Choice
            label="Outcome"
            any="Any outcome"
            value={query.get("outcome") ?? ""}
            options={OUTCOMES}
            onPick={(value) => setQuery("outcome", value)}
          />
        </span>
      </div>
      <div class="listing">
        <Fresh count={list.fresh} onShow={list.showFresh} />
        {!list.items ? (
          <Pending error={list.error} lines={10} />
        ) : list.items.length === 0 ? (
          text ? (
            <Empty
              icon="search"
              title={list.more ? "None of the newest events is like that." : "No event is like that."}
            >
              <a href="/events">Take the filters away</a>
            </Empty>
          ) : (
            <Empty icon="events" title="Nothing has come in yet.">
              <p>Send a recorded GitHub push, signed as GitHub signs it:</p>
              <Command text="npx daimon send github push" />
            </Empty>
          )
        ) : (
          <EventRows items={list.items} />
        )}
        {list.items && list.more && (
          <div class="load-more">
            <Button onPress={() => attempt(list.loadMore)}>
              {list.items.length === 0 ? "Look further back" : "Load more"}
            </Button>
          </div>
        )}
      </div>
    </PageBody>
  );
}

/** Events and refusals side by side. */
export function EventTabs({ current }: { current: "events" | "refusals" }) {
  const refusals = useQuery<Page<Refusal>>("/api/refusals", ["refusal"]);
  const total = refusals.data?.items.reduce((sum, one) => sum + one.count, 0);
  return (
    <Tabs
      label="Events"
      current={current}
      tabs={[
        { name: "events", text: "Kept", href: "/events" },
        { name: "refusals", text: "Refused", href: "/events/refusals", count: total || undefined },
      ]}
    />
  );
}

/** "3 new": they wait on top until they are asked for, so that the list does not jump. */
export function Fresh({ count, onShow }: { count: number; onShow: () => void }) {
  return (
    <div class="fresh" role="status">
      {count > 0 && (
        <button type="button" onClick={onShow}>
          ↑ {count} new
        </button>
      )}
    </div>
  );
}

function EventRows({ items }: { items: readonly EventItem[] }) {
  return (
    <ul class="rows event-rows">
      {items.map((event) => (
        <li key={event.id}>
          <a class="row" data-row href={`/events/${event.id}`}>
            <Status value={event.outcome} />
            <span class="row-main">
              <b>{event.source}</b> <span>{event.type}</span>
              {event.reason && <span class="faint"> {event.reason}</span>}
            </span>
            <span class="row-id">
              <Id id={event.id} />
            </span>
            <span class="row-runs">
              <RunsOf runs={event.runs} />
            </span>
            <span class="row-time">
              <Time at={event.receivedAt} />
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

/** What became of an event's runs, in a word. */
export function RunsOf({ runs }: { runs: EventItem["runs"] }) {
  if (runs.total === 0) return <span class="faint">no runs</span>;
  const of = runs.total > 1 ? ` of ${runs.total}` : "";
  if (runs.failed) return <Status value="failed" word={`${runs.failed}${of} failed`} />;
  if (runs.active) return <Status value="running" word={`${runs.active}${of} under way`} />;
  return <Status value="completed" word={plural(runs.total, "run")} />;
}
