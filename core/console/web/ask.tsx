import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type EventItem, type Preview, type Run, request } from "./api.ts";
import { plural } from "./format.ts";
import { Button, Dialog, Handler, ownDayAndTime, Status } from "./parts.tsx";
import { go } from "./router.ts";
import { attempt } from "./state.ts";

export type Filter = Readonly<Record<string, string>>;
export type Found = Preview<EventItem & Run>;

/** The two ways to put many right. */
export const KINDS = {
  replay: { path: "/api/replays", verb: "Replay", thing: "event" },
  retry: { path: "/api/retries", verb: "Retry", thing: "run" },
} as const;

/** Shows what a filter means now, and asks once whether it is to be done. */
export function Ask({ kind, filter, onClose }: { kind: keyof typeof KINDS; filter: Filter; onClose: () => void }) {
  const { path, verb, thing } = KINDS[kind];
  const found = useSignal<Found | null>(null);
  useEffect(() => {
    let current = true;
    const look = async () => {
      let next: Found | null = null;
      do {
        const more: Found = await request("POST", path, {
          filter: next?.filter ?? filter,
          preview: true,
          ...(next?.next ? { cursor: next.next } : {}),
        });
        next = next ? { ...more, items: next.items, count: next.count + more.count } : more;
        if (current) found.value = next;
      } while (next.next && current);
    };
    void attempt(look).then((well) => !well && onClose());
    return () => {
      current = false;
    };
  }, []);
  const known = found.value;
  const order = () =>
    attempt(async () => {
      const { runId } = await request<{ runId: string }>("POST", path, { filter: known!.filter });
      go(`/runs/${runId}`);
    });
  const all = plural(known?.count ?? 0, thing);
  return (
    <Dialog label={`${verb} many`} class="repair" onClose={onClose}>
      <h2>{known ? `${verb} ${all}${known.next ? " so far" : ""}?` : "Looking which they are."}</h2>
      <FilterWords filter={filter} />
      {known && known.items.length > 0 && (
        <ul class="meant-first">
          {known.items.map((one) => (
            <li key={one.id}>
              <Status value={one.outcome ?? one.status} />
              <span class="row-main">
                {one.handler ? (
                  <Handler name={one.handler} />
                ) : (
                  <>
                    <b>{one.source}</b> {one.type}
                  </>
                )}{" "}
                <span class="faint">{one.reason ?? one.error?.message}</span>
              </span>
            </li>
          ))}
          {known.count > known.items.length && <li class="faint">and {known.count - known.items.length} more</li>}
        </ul>
      )}
      <p>
        {kind === "retry"
          ? "Each goes on where it stopped: its completed steps are kept and not done again."
          : `${filter.handler ? `Only ${filter.handler} runs` : "Today's triggers run"} on each once more, in the order in which they came. What earlier runs did is not undone.`}
      </p>
      <div class="actions">
        <Button onPress={onClose}>Not now</Button>
        <Button
          kind="primary"
          icon="retry"
          autofocus
          disabled={!known || known.next !== null || known.count === 0}
          onPress={order}
        >
          {known ? `${verb} ${all}` : verb}
        </Button>
      </div>
    </Dialog>
  );
}

/** A filter's fields in the order in which they are told, and what they are called where that is not their name. */
const ORDER = ["source", "type", "status", "outcome", "handler", "error", "q", "event", "order", "since", "until"];
const NAMES: Readonly<Record<string, string>> = { error: "failed with", q: "text", order: "came of", until: "before" };

export const nameOf = (field: string): string => NAMES[field] ?? field;

/** A filter in words: `outcome dead`, `handler trigger:shop/file`. */
export function FilterWords({ filter }: { filter: Filter }) {
  const fields = Object.entries(filter).sort(([one], [other]) => ORDER.indexOf(one) - ORDER.indexOf(other));
  return (
    <p class="chips">
      {fields.map(([field, value]) => (
        <span key={field} class="chip">
          {nameOf(field)} <b>{/^\d{4}-\d\d-\d\dT/.test(value) ? ownDayAndTime(value) : value}</b>
        </span>
      ))}
    </p>
  );
}
