import { signal } from "@preact/signals";
import { asApiError, request } from "./api.ts";

export type ChangeKind = "event" | "run" | "step" | "message" | "approval" | "schedule" | "pause" | "refusal" | "issue";
export interface Change {
  readonly kind: ChangeKind | "resumed";
  readonly id: string;
  readonly status?: string;
  readonly text?: string;
}

/** The live feed's state: `paused` while the tab is hidden, `lost` while nothing answers, `away` while only the database is. */
export const liveState = signal<"connecting" | "live" | "paused" | "lost" | "away">("connecting");
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
  // An open feed does not tell that the database behind it is away.
  const ask = setInterval(() => ["live", "away"].includes(liveState.value) && void askStatus(), 5000);
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    clearInterval(tick);
    clearInterval(ask);
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
    close(liveState.value === "away" ? "away" : "lost");
    // The stream does not say why it failed; a 401 here leads to the login page, where nobody listens.
    again = setTimeout(() => askStatus().then(() => /lost|away/.test(liveState.value) && open()), 2000);
  };
}

/** Whether the database answers: an open feed is `live` or `away` by it, a lost one `lost` or `away`. */
async function askStatus(): Promise<void> {
  const answer = await request("GET", "/api/status").then(
    () => 200,
    (error) => asApiError(error).status,
  );
  const before = liveState.value;
  if (before === "paused" || before === "connecting") return;
  if (answer === 503) liveState.value = "away";
  else if (before === "away") liveState.value = source && answer ? "live" : "lost";
  if (before === "away" && liveState.value === "live") tell({ kind: "resumed", id: "" });
}

function close(state: "paused" | "lost" | "connecting" | "away"): void {
  clearTimeout(again);
  source?.close();
  source = null;
  liveState.value = state;
}

function tell(change: Change): void {
  now.value = new Date();
  for (const listener of listeners) listener(change);
}
