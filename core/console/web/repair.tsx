import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type EventDetail, type RunDetail, request } from "./api.ts";
import { Ask, type Filter, FilterWords, type Found, KINDS, nameOf } from "./ask.tsx";
import { Icon } from "./icons.tsx";
import { Button, Panel, Status } from "./parts.tsx";
import { useQuery } from "./query.ts";
import { place, setQuery } from "./router.ts";

/** "Replay these 37…": shows what the filter means now, asks once, and leads to the run that does it. */
export function PutRight({ kind, filter }: { kind: keyof typeof KINDS; filter: Filter }) {
  const count = useSignal<number | null>(null);
  const open = useSignal(false);
  const key = JSON.stringify(filter);
  useEffect(() => {
    count.value = null;
    // A text is looked for through all that is kept: only when it is asked for.
    if (filter.q && kind === "replay") return;
    let current = true;
    request<Found>("POST", KINDS[kind].path, { filter, preview: true }).then(
      (found) => {
        if (current) count.value = found.count;
      },
      () => {},
    );
    return () => {
      current = false;
    };
  }, [key]);
  if (count.value === 0) return null;
  return (
    <>
      <Button icon="retry" onPress={() => (open.value = true)}>
        {`${KINDS[kind].verb} ${theseOf(count.value)}…`}
      </Button>
      {open.value && <Ask kind={kind} filter={filter} onClose={() => (open.value = false)} />}
    </>
  );
}

const theseOf = (count: number | null) =>
  count === null ? "these" : count === 1 ? "this one" : `these ${count.toLocaleString("en-GB")}`;

/** Filters that have no control of their own on the page, each to be taken away. */
export function FilterChips({ names }: { names: readonly string[] }) {
  const set = names.filter((name) => place.value.query.get(name));
  if (set.length === 0) return null;
  return (
    <p class="chips">
      {set.map((name) => (
        <span key={name} class="chip">
          {nameOf(name)} <b>{place.value.query.get(name)}</b>
          <button type="button" aria-label={`Take ${nameOf(name)} away`} onClick={() => setQuery(name, "")}>
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
    </p>
  );
}

const DONE = { "daimon:replay": ["replayed", "events"], "daimon:retry": ["retried", "runs"] } as const;

/** How far a replay or retry of many is, and how the runs stand that came of it. */
export function RepairProgress({ run }: { run: RunDetail }) {
  const { data: event } = useQuery<EventDetail>(`/api/events/${run.eventId}`);
  const progress = run.progress!;
  const [did, things] = DONE[run.handler as keyof typeof DONE];
  const { total, done, runs = {} } = progress;
  const active = (runs.queued ?? 0) + (runs.running ?? 0) + (runs.waiting ?? 0);
  const came = active + (runs.completed ?? 0) + (runs.failed ?? 0) + (runs.canceled ?? 0);
  const filter = (event?.data as { filter?: Filter } | undefined)?.filter;
  const share = (count: number | undefined) => `${total ? ((count ?? 0) / Math.max(total, came)) * 100 : 0}%`;
  const parts = [
    ["completed", runs.completed],
    ["failed", runs.failed],
    ["canceled", runs.canceled],
    ["running", active],
  ] as const;
  return (
    <Panel title="Progress" aside={<a href={`/runs?order=${run.id}`}>All runs that came of it</a>}>
      {filter && <FilterWords filter={filter} />}
      <p class="big num progress-count" role="status">
        {total === null ? (
          "Finding them."
        ) : (
          <>
            {done.toLocaleString("en-GB")}{" "}
            <span class="faint">
              of {total.toLocaleString("en-GB")} {things} {did}
            </span>
          </>
        )}
      </p>
      <div class="parts-bar" role="img" aria-label={parts.map(([word, count]) => `${count ?? 0} ${word}`).join(", ")}>
        {parts.map(([word, count]) => (
          <i key={word} data-part={word} style={{ width: share(count) }} />
        ))}
      </div>
      <p class="facts">
        {parts.map(([word, count]) =>
          count ? (
            <Status
              key={word}
              value={word}
              word={`${count.toLocaleString("en-GB")} ${word === "running" ? "under way" : word}`}
            />
          ) : null,
        )}
        {total !== null && total === done && came === 0 && (
          <span class="faint">Nothing ran: no trigger wants them now.</span>
        )}
      </p>
    </Panel>
  );
}
