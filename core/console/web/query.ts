import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type ApiError, asApiError, type Page, request } from "./api.ts";
import { type Change, type ChangeKind, onChange } from "./live.ts";

const LIVE_PAUSE = 250;
/** What is away for a moment is asked again after this. */
const AWAY_PAUSE = 3000;
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

/** Asks for `path` now, and again after each change that concerns us; `take` gets what was known first, then each answer. */
function useAnswers<Data>(path: string | null, concerns: Concerns, take: (data: Data, asked: boolean) => void) {
  const error = useSignal<ApiError | null>(null);
  const load = useRef(() => {});
  // Before anything is painted: what is known stands at once, and Back finds the page as high as it was.
  useLayoutEffect(() => {
    if (path === null) return;
    let current = true;
    let again: ReturnType<typeof setTimeout> | undefined;
    error.value = null;
    if (known.has(path)) take(known.get(path) as Data, false);
    load.current = () => {
      request<Data>("GET", path).then(
        (data) => {
          known.set(path, data);
          if (!current) return;
          error.value = null;
          take(data, true);
        },
        (reason) => {
          if (!current) return;
          error.value = asApiError(reason);
          clearTimeout(again);
          if ([0, 503].includes(error.value.status)) again = setTimeout(() => load.current(), AWAY_PAUSE);
        },
      );
    };
    load.current();
    return () => {
      current = false;
      clearTimeout(again);
    };
  }, [path]);
  useChanges(concerns, () => load.current());
  return { error: error.value, reload: () => load.current() };
}

/** The answer to `GET path`: at once what was known, then what is true, and again after each change that concerns us. */
export function useQuery<Data>(path: string | null, concerns: Concerns = []): Query<Data> {
  const shown = useSignal<{ path: string | null; data: Data } | undefined>(undefined);
  const answers = useAnswers<Data>(path, concerns, (data) => {
    shown.value = { path, data };
  });
  return { ...answers, data: shown.value?.path === path ? shown.value?.data : undefined };
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
  // `page` is all that is shown, however often more was loaded; `waiting` the first page as it is now.
  const state = useSignal<{ path: string; page: Page<Item>; asked: boolean; waiting: Page<Item> | null } | null>(null);
  // All of it is known when somebody comes back to the list.
  const show = (list: NonNullable<typeof state.value>) => {
    state.value = list;
    known.set(path, list.page);
  };
  const { error } = useAnswers<Page<Item>>(path, concerns, (page, asked) => {
    const before = state.value?.path === path ? state.value : null;
    const length = before?.page.items.length ?? 0;
    if (!before || length === 0 || (!before.asked && length <= page.items.length)) {
      return show({ path, page, asked, waiting: null });
    }
    const changed = new Map(page.items.map((item) => [item.id, item]));
    const items = before.page.items.map((item) => changed.get(item.id) ?? item);
    show({ ...before, asked, page: { ...before.page, items }, waiting: page });
  });
  const shown = state.value?.path === path ? state.value : null;
  const ids = new Set(shown?.page.items.map((item) => item.id));
  const unseen = shown?.waiting?.items.filter((item) => !ids.has(item.id)) ?? [];
  return {
    items: shown?.page.items,
    error,
    fresh: unseen.length,
    more: shown !== null && shown.page.next !== null,
    searched: shown?.page.searched ?? 0,
    showFresh: () => {
      if (!shown?.waiting) return;
      const overlaps = unseen.length < shown.waiting.items.length;
      const page = overlaps ? { ...shown.page, items: [...unseen, ...shown.page.items] } : shown.waiting;
      show({ ...shown, page, waiting: null });
    },
    loadMore: async () => {
      const cursor = encodeURIComponent(shown?.page.next ?? "");
      const more = await request<Page<Item>>("GET", `${path}${path.includes("?") ? "&" : "?"}cursor=${cursor}`);
      const now = state.value;
      if (now?.path !== path) return;
      const searched = (now.page.searched ?? 0) + (more.searched ?? 0);
      const items = [...now.page.items, ...more.items];
      show({ ...now, asked: true, page: { items, next: more.next, searched } });
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
