import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";
import { Button, Choice, type Options, Pending } from "./parts.tsx";
import type { List } from "./query.ts";
import { place, setQuery } from "./router.ts";
import { attempt } from "./state.ts";

/** A list as it comes: the new ones wait on top, so that it does not jump; then the rows, or why there are none. */
export function Listing<Item>(props: {
  list: List<Item>;
  empty: ComponentChildren;
  /** What stands below. Default: the button that loads more. */
  end?: ComponentChildren;
  children: (items: readonly Item[]) => ComponentChildren;
}) {
  const { list, empty, end = <LoadMore list={list} />, children } = props;
  return (
    <div class="listing">
      <div class="fresh" role="status">
        {list.fresh > 0 && (
          <button type="button" onClick={list.showFresh}>
            ↑ {list.fresh} new
          </button>
        )}
      </div>
      {!list.items ? <Pending error={list.error} lines={10} /> : list.items.length > 0 ? children(list.items) : empty}
      {list.items && end}
    </div>
  );
}

/** The end of a list, while there is more of it. */
export function LoadMore({ list }: { list: Pick<List<unknown>, "more" | "loadMore"> }) {
  if (!list.more) return null;
  return (
    <div class="load-more">
      <Button onPress={() => attempt(list.loadMore)}>Load more</Button>
    </div>
  );
}

/** A row that leads to the page of what it shows. */
export function Row({ href, children }: { href: string; children: ComponentChildren }) {
  return (
    <li>
      <a class="row" data-row href={href}>
        {children}
      </a>
    </li>
  );
}

/** What the address says of these names: the filter of its list. */
export function readFilter(names: readonly string[]): Readonly<Record<string, string>> {
  const { query } = place.value;
  return Object.fromEntries(names.flatMap((name) => (query.get(name) ? [[name, query.get(name)!]] : [])));
}

/** A choice that stands in the address. */
export function FilterChoice(props: { name: string; label: string; any: string; options: Options }) {
  const { name, ...choice } = props;
  return <Choice {...choice} value={place.value.query.get(name) ?? ""} onPick={(value) => setQuery(name, value)} />;
}

/** How far back a list goes. */
export function Since() {
  const since = place.value.query.get("since");
  const spans: Record<string, string> = {
    "1h": "Last hour",
    "24h": "Last day",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
  };
  const options = since && !(since in spans) ? { ...spans, [since]: `Since ${since}` } : spans;
  return <FilterChoice name="since" label="Since" any="Any time" options={options} />;
}

/** A search box for the address's `q`, which it sets after a short rest. */
export function SearchBox({ label }: { label: string }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const field = useRef<HTMLInputElement>(null);
  const asked = place.value.query.get("q") ?? "";
  // What is typed stays as it is typed, with a space at its end.
  useLayoutEffect(() => {
    if (field.current!.value.trim() !== asked) field.current!.value = asked;
  }, [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <span class="search">
      <Icon name="search" size={14} />
      <input
        class="field"
        ref={field}
        type="search"
        aria-label={label}
        placeholder={label}
        onInput={(event) => {
          const text = event.currentTarget.value.trim();
          clearTimeout(timer.current);
          timer.current = setTimeout(() => setQuery("q", text), 300);
        }}
      />
    </span>
  );
}
