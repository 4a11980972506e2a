import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type ApiError, asApiError, type Page, request } from "./api.ts";
import { type Change, type ChangeKind, onChange } from "./live.ts";

const LIVE_PAUSE = 250;
const known = new Map<string, unknown>();

export interface Query<Data> {
  readonly data: Data | undefined;
  readonly error: ApiError | null;
  reload(): void;
}

/** Whether a change concerns what is shown. */
export type Concerns = readonly ChangeKind[] | ((change: Change) => boolean);

/** Forgets every answer: another person may sign in. */
export function forgetAnswers(): void {
  known.clear();
}

/** The answer to `GET path`: at once what was known, then what is true, and again after each change of `kinds`. */
export function useQuery<Data>(path: string | null, concerns: Concerns = []): Query<Data> {
  const data = useSignal<{ path: string; value: Data } | undefined>(undefined);
  const error = useSignal<ApiError | null>(null);
  const load = useRef(() => {});
  useEffect(() => {
    if (path === null) return;
    let current = true;
    error.value = null;
    if (known.has(path)) data.value = { path, value: known.get(path) as Data };
    load.current = () => {
      request<Data>("GET", path).then(
        (value) => {
          known.set(path, value);
          if (!current) return;
          data.value = { path, value };
          error.value = null;
        },
        (reason) => {
          if (current) error.value = asApiError(reason);
        },
      );
    };
    load.current();
    return () => {
      current = false;
    };
  }, [path]);
  useChanges(concerns, () => load.current());
  const shown = data.value?.path === path ? data.value?.value : undefined;
  return { data: shown, error: error.value, reload: () => load.current() };
}

export interface List<Item> {
  readonly items: Item[] | undefined;
  readonly error: ApiError | null;
  /** How many newer items came in since the list was shown; `showFresh` puts them on top. */
  readonly fresh: number;
  readonly more: boolean;
  /** How many events a search by text has looked through so far. */
  readonly searched: number;
  showFresh(): void;
  loadMore(): Promise<void>;
}

/** A paged list that never jumps: known items change in place, new ones wait until they are asked for. */
export function useList<Item extends { readonly id: string }>(path: string, concerns: Concerns): List<Item> {
  const items = useSignal<Item[] | undefined>(undefined);
  const next = useSignal<string | null>(null);
  const searched = useSignal(0);
  const waiting = useSignal<Page<Item> | null>(null);
  const error = useSignal<ApiError | null>(null);
  const load = useRef(() => {});
  const current = useRef(path);
  useEffect(() => {
    current.current = path;
    waiting.value = null;
    error.value = null;
    const before = known.get(path) as Page<Item> | undefined;
    items.value = before?.items;
    next.value = before?.next ?? null;
    searched.value = before?.searched ?? 0;
    load.current = () => {
      request<Page<Item>>("GET", path).then(
        (page) => {
          known.set(path, page);
          if (current.current !== path) return;
          error.value = null;
          if (!items.value?.length || items.value === before?.items) {
            items.value = page.items;
            next.value = page.next;
            searched.value = page.searched ?? 0;
            return;
          }
          const changed = new Map(page.items.map((item) => [item.id, item]));
          items.value = items.value.map((item) => changed.get(item.id) ?? item);
          waiting.value = page;
        },
        (reason) => {
          if (current.current === path) error.value = asApiError(reason);
        },
      );
    };
    load.current();
  }, [path]);
  useChanges(concerns, () => load.current());
  const unseen = useComputed(() => {
    const shown = new Set(items.value?.map((item) => item.id));
    return waiting.value?.items.filter((item) => !shown.has(item.id)) ?? [];
  });
  return {
    items: items.value,
    error: error.value,
    fresh: unseen.value.length,
    more: next.value !== null,
    searched: searched.value,
    showFresh: () => {
      const page = waiting.value;
      if (!page) return;
      const overlaps = unseen.value.length < page.items.length;
      if (!overlaps) next.value = page.next;
      items.value = overlaps ? [...unseen.value, ...(items.value ?? [])] : page.items;
      waiting.value = null;
    },
    loadMore: async () => {
      const separator = path.includes("?") ? "&" : "?";
      const page = await request<Page<Item>>(
        "GET",
        `${path}${separator}cursor=${encodeURIComponent(next.value ?? "")}`,
      );
      if (current.current !== path) return;
      items.value = [...(items.value ?? []), ...page.items];
      next.value = page.next;
      searched.value += page.searched ?? 0;
    },
  };
}

/** Calls `changed` soon after changes that concern us, at most once in a short while. */
export function useChanges(concerns: Concerns, changed: () => void): void {
  const latest = useRef({ concerns, changed });
  latest.current = { concerns, changed };
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onChange((change) => {
      const wanted = latest.current.concerns;
      const concerned =
        change.kind === "resumed" ||
        (typeof wanted === "function" ? wanted(change) : (wanted as readonly string[]).includes(change.kind));
      if (!concerned || timer) return;
      timer = setTimeout(() => {
        timer = undefined;
        latest.current.changed();
      }, LIVE_PAUSE);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}
