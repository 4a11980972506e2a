import { computed, signal } from "@preact/signals";
import { asApiError, request, type SystemStatus } from "./api.ts";
import { forgetAnswers } from "./query.ts";
import { go } from "./router.ts";

/** The whole system at a glance; null until it is known. */
export const status = signal<SystemStatus | null>(null);
/** The owner's zone; the browser's until it is known. */
export const zone = computed(() => status.value?.owner.zone || Intl.DateTimeFormat().resolvedOptions().timeZone);
/** Which dialog is open over the page. */
export const dialog = signal<"help" | "palette" | "stop" | "more" | null>(null);

export interface Toast {
  readonly id: number;
  readonly tone: "good" | "bad";
  readonly text: string;
  readonly next?: string | undefined;
}
export const toasts = signal<readonly Toast[]>([]);
let lastToast = 0;

/** Shows a note for a while: errors stay 12 s, the rest 4 s. */
export function toast(tone: Toast["tone"], text: string, next?: string): void {
  const id = ++lastToast;
  toasts.value = [...toasts.value.slice(-2), { id, tone, text, next }];
  setTimeout(() => dismiss(id), tone === "bad" ? 12_000 : 4000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Does something a person asked for; says what went wrong, why and what is next. Returns whether it went well. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action();
    if (done) toast("good", done);
    return true;
  } catch (error) {
    const failure = asApiError(error);
    toast("bad", failure.message, failure.next);
    return false;
  }
}

/** Reads the status again; what fails is said by the page that needs it. */
export async function loadStatus(): Promise<void> {
  try {
    status.value = await request<SystemStatus>("GET", "/api/status");
  } catch {
    // The live feed shows that nothing answers; 401 has led to the login page.
  }
}

/** STOP: nothing is claimed while it is on, and running runs are canceled. */
export function setStopped(stopped: boolean): Promise<boolean> {
  return attempt(
    async () => {
      await request("PUT", "/api/stop", { stopped });
      if (status.value) status.value = { ...status.value, stopped };
      await loadStatus();
    },
    stopped ? "Stopped. Running runs are being canceled." : "Running again.",
  );
}

/** Ends this session and forgets what was shown. */
export async function signOut(): Promise<void> {
  if (!(await attempt(() => request("DELETE", "/api/session")))) return;
  status.value = null;
  forgetAnswers();
  go("/login");
}

/** `light`, `dark`, or `system`; kept in this browser. */
export const theme = signal(read());

export function setTheme(value: "light" | "dark" | "system"): void {
  theme.value = value;
  localStorage.setItem("theme", value);
  showTheme();
}

export function showTheme(): void {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}

function read(): "light" | "dark" | "system" {
  const kept = localStorage.getItem("theme");
  return kept === "light" || kept === "dark" ? kept : "system";
}
