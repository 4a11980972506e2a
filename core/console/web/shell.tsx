import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { Dialogs } from "./dialogs.tsx";
import { Meter } from "./figures.tsx";
import { money } from "./format.ts";
import { Icon, Mark } from "./icons.tsx";
import { startKeys } from "./keys.ts";
import { liveState, startLive } from "./live.ts";
import { isHere, NAV, NavLink, waitingInMore } from "./nav.tsx";
import { Button, Pending } from "./parts.tsx";
import { useChanges } from "./query.ts";
import { dialog, dismiss, loadStatus, setStopped, status, toasts } from "./state.ts";

const LIVE_WORDS = {
  live: ["good", "Live", "Changes show at once"],
  connecting: ["idle", "Connecting", "Opening the live feed"],
  paused: ["idle", "Paused", "Paused while the tab is hidden"],
  away: ["bad", "No database", "The database does not answer. What is wrong? npx daimon doctor"],
  lost: ["bad", "Offline", "Daimon does not answer. Is it running? npm start"],
} as const;

export function Shell({ children }: { children: ComponentChildren }) {
  useEffect(() => startLive(), []);
  useEffect(() => startKeys(), []);
  // Until the status is known, or cannot be had, nothing is shown: not in another zone, nor to jump away.
  const asked = useSignal(status.value !== null);
  useEffect(() => {
    void loadStatus().then(() => (asked.value = true));
  }, []);
  useChanges(["run", "approval", "refusal", "message", "schedule", "issue"], () => void loadStatus());
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Side />
      <Top />
      {status.value?.stopped && <StoppedBar />}
      <main id="main" tabIndex={-1}>
        {asked.value ? (
          children
        ) : (
          <div class="page">
            <Pending error={null} />
          </div>
        )}
      </main>
      <BottomBar />
      <Dialogs />
    </div>
  );
}

function Side() {
  return (
    <aside class="side">
      <a class="brand" href="/">
        <Mark /> Daimon
      </a>
      <nav aria-label="Pages">
        {NAV.map((item, at) => (
          <NavLink key={item.href} item={item} apart={at === 4 || at === NAV.length - 1} />
        ))}
      </nav>
      <p class="side-foot">
        {status.value && (
          <>
            <span>{status.value.owner.name}</span>
            <span class="faint">{status.value.version}</span>
          </>
        )}
      </p>
    </aside>
  );
}

function Top() {
  const [tone, word, why] = LIVE_WORDS[liveState.value];
  const today = status.value?.today;
  return (
    <header class="top">
      <a class="brand phone-only" href="/" aria-label="Daimon, Home">
        <Mark />
      </a>
      <button type="button" class="jump" onClick={() => (dialog.value = "palette")}>
        <Icon name="search" size={14} />
        <span>Go to, search, do</span>
        <kbd>{navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl"} K</kbd>
      </button>
      <span class="top-right">
        <span class="status live-state" data-tone={tone} title={why} role="status">
          <i class="dot" />
          {word}
        </span>
        {today && (
          <a class="top-spend" href="/costs" title="Spent today, of the day's limit">
            <span class="num">
              {money(today.usd)} <span class="faint">/ {money(today.limitUsd)}</span>
            </span>
            <Meter value={today.usd} limit={today.limitUsd} label="Spent today" />
          </a>
        )}
        {status.value?.stopped ? (
          <Button kind="primary" icon="play" onPress={() => setStopped(false)}>
            Resume
          </Button>
        ) : (
          <Button kind="danger" icon="stop" title="Stop everything" onPress={() => (dialog.value = "stop")}>
            Stop
          </Button>
        )}
      </span>
    </header>
  );
}

function StoppedBar() {
  return (
    <div class="stopped-bar" role="alert">
      <Icon name="stop" />
      <span>
        <strong>Stopped.</strong> Events are still kept; nothing runs until you resume.
      </span>
    </div>
  );
}

function BottomBar() {
  const inBar = NAV.slice(0, 4);
  return (
    <nav class="bottom" aria-label="Main pages">
      {inBar.map((item) => (
        <NavLink key={item.href} item={item} />
      ))}
      <button
        type="button"
        class="nav"
        aria-current={inBar.some(isHere) ? undefined : "page"}
        onClick={() => (dialog.value = "more")}
      >
        <Icon name="more" />
        <span>More</span>
        {waitingInMore() > 0 && <b class="badge">{waitingInMore()}</b>}
      </button>
    </nav>
  );
}

/** Notes in the corner; errors are read out at once. */
export function Toasts() {
  return (
    <div class="toasts">
      {toasts.value.map((one) => (
        <div key={one.id} class="toast" data-tone={one.tone} role={one.tone === "bad" ? "alert" : "status"}>
          <Icon name={one.tone === "bad" ? "alert" : "check"} />
          <div>
            <p>{one.text}</p>
            {one.next && <p class="next">{one.next}</p>}
          </div>
          <Button kind="quiet" icon="close" label="Dismiss" onPress={() => dismiss(one.id)} />
        </div>
      ))}
    </div>
  );
}
