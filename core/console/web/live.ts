import { signal } from "@preact/signals";
import { request } from "./api.ts";

export type ChangeKind = "event" | "run" | "step" | "message" | "approval" | "schedule" | "pause" | "refusal" | "issue";
export interface Change {
  readonly kind: ChangeKind | "resumed";
  readonly id: string;
  readonly status?: string;
  readonly text?: string;
}

/** The live feed's state: `paused` while the tab is hidden, `lost` while nothing answers. */
export const liveState = signal<"connecting" | "live" | "paused" | "lost">("connecting");
/** Ticks every second while the tab is seen. */
export const now = signal(new Date());

const listeners = new Set<(change: Change) => void>();
let source: EventSource | null = null;
let again: ReturnType<typeof setTimeout> | undefined;

/** Hears every change, and `resumed` after a gap in which changes may have been missed. */
export function onChange(listener: (change: Change) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Opens the live feed, closes it while the tab is hidden, and opens it again after a loss. */
export function startLive(): () => void {
  const look = () => (document.hidden ? close("paused") : open());
  const tick = setInterval(() => {
    if (!document.hidden) now.value = new Date();
  }, 1000);
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    clearInterval(tick);
    close("connecting");
  };
}

function open(): void {
  if (source) return;
  const resumes = liveState.value !== "connecting";
  source = new EventSource("/api/live");
  source.onopen = () => {
    liveState.value = "live";
    if (resumes) tell({ kind: "resumed", id: "" });
  };
  source.addEventListener("change", (message) => tell(JSON.parse(message.data) as Change));
  source.onerror = () => {
    close("lost");
    // The stream does not say why it failed; a 401 here leads to the login page, where nobody listens.
    const reopen = () => liveState.value === "lost" && open();
    again = setTimeout(() => request("GET", "/api/status").then(reopen, reopen), 2000);
  };
}

function close(state: "paused" | "lost" | "connecting"): void {
  clearTimeout(again);
  source?.close();
  source = null;
  liveState.value = state;
}

function tell(change: Change): void {
  now.value = new Date();
  for (const listener of listeners) listener(change);
}
