import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { CapabilityItem, EventItem, Page, Refusal } from "../api.ts";
import { plural } from "../format.ts";
import { FilterChoice, Listing, Row, readFilter, SearchBox, Since } from "../listing.tsx";
import { Button, Command, Empty, Id, PageBody, Status, Tabs, Time } from "../parts.tsx";
import { type List, useList, useQuery } from "../query.ts";
import { FilterChips, PutRight } from "../repair.tsx";
import { attempt } from "../state.ts";

const FILTERS = ["source", "type", "outcome", "q", "since", "until", "handler", "error", "issue"];
/** So many found are shown before a search asks whether to go on. */
const ENOUGH = 50;
const OUTCOMES = ["dispatched", "ignored", "filtered", "skipped", "dead"];

export function Events() {
  const filter = readFilter(FILTERS);
  const text = new URLSearchParams(filter).toString();
  const list = useList<EventItem>(`/api/events${text ? `?${text}` : ""}`, ["event", "run"]);
  const capabilities = useQuery<Page<CapabilityItem>>("/api/capabilities");
  const sources = new Set([
    "chat",
    "schedule",
    ...(capabilities.data?.items ?? []).flatMap((one) => one.webhooks.map((webhook) => webhook.source)),
    ...(list.items ?? []).map((event) => event.source),
    ...(filter.source ? [filter.source] : []),
  ]);
  return (
    <PageBody
      title="Events"
      sub="Every fact that came in, kept for ever: webhooks, the clock, and you."
      actions={text && list.items && list.items.length > 0 && <PutRight kind="replay" filter={filter} />}
    >
      <div class="toolbar">
        <EventTabs current="events" />
        <span class="filters">
          <SearchBox label="Text, or customer.email:…" />
          <FilterChoice name="source" label="Source" any="Any source" options={[...sources].sort()} />
          <FilterChoice name="outcome" label="Outcome" any="Any outcome" options={OUTCOMES} />
          <Since />
        </span>
      </div>
      <FilterChips names={["type", "handler", "error", "issue", "until"]} />
      <Listing
        list={list}
        empty={filter.q && list.more ? null : <NoEvents filtered={text !== ""} />}
        {...(filter.q ? { end: <Looking key={text} list={list} /> } : {})}
      >
        {(items) => <EventRows items={items} />}
      </Listing>
    </PageBody>
  );
}

function NoEvents({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty icon="search" title="No event is like that.">
      <a href="/events">Take the filters away</a>
    </Empty>
  ) : (
    <Empty icon="events" title="Nothing has come in yet.">
      <p>Send a recorded GitHub push, signed as GitHub signs it:</p>
      <Command text="npx daimon send github push" />
    </Empty>
  );
}

/** A search that goes on by itself until a page is full, and says how far it has looked. */
function Looking({ list }: { list: List<EventItem> }) {
  const wanted = useSignal(ENOUGH);
  const found = list.items?.length ?? 0;
  const looks = list.items !== undefined && list.more && found < wanted.value;
  useEffect(() => {
    if (!looks) return;
    void attempt(list.loadMore).then((well) => {
      if (!well) wanted.value = 0;
    });
  }, [looks, list.searched, found]);
  if (!list.items) return null;
  const through = list.searched > 0 && `Looked through ${list.searched.toLocaleString("en-GB")} events, `;
  return (
    <div class="looking" role="status">
      {looks ? (
        <>
          <Status value="running" word={`${through || "Looking, "}${found || "none"} found yet.`} />
          <Button onPress={() => (wanted.value = 0)}>Stop looking</Button>
        </>
      ) : list.more ? (
        <>
          {through && <span>{through + found} found.</span>}
          <Button onPress={() => (wanted.value = found + ENOUGH)}>Look further back</Button>
        </>
      ) : (
        through && <span class="faint">{through}that is all there are.</span>
      )}
    </div>
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

function EventRows({ items }: { items: readonly EventItem[] }) {
  return (
    <ul class="rows event-rows">
      {items.map((event) => (
        <Row key={event.id} href={`/events/${event.id}`}>
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
          <Time row at={event.receivedAt} />
        </Row>
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
