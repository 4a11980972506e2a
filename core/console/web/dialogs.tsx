import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Page, Schedule } from "./api.ts";
import { fire } from "./deeds.ts";
import { Icon, type IconName } from "./icons.tsx";
import { KEYS } from "./keys.ts";
import { NAV, NavLink } from "./nav.tsx";
import { Button, Dialog } from "./parts.tsx";
import { useQuery } from "./query.ts";
import { go } from "./router.ts";
import { dialog, setStopped, status } from "./state.ts";

/** Whatever lies over the page. */
export function Dialogs() {
  switch (dialog.value) {
    case "help":
      return <Help />;
    case "palette":
      return <Palette />;
    case "stop":
      return <Stop />;
    case "more":
      return <More />;
    default:
      return null;
  }
}

function Over(props: { label: string; name: NonNullable<typeof dialog.value>; children: ComponentChildren }) {
  // By the time that a closing dialog says so, another may be open.
  const close = () => {
    if (dialog.value === props.name) dialog.value = null;
  };
  return (
    <Dialog label={props.label} class={props.name} onClose={close}>
      {props.children}
    </Dialog>
  );
}

function Help() {
  return (
    <Over label="Keys" name="help">
      <header class="panel-head">
        <h2>Keys</h2>
        <Button kind="quiet" icon="close" label="Close" onPress={() => (dialog.value = null)} />
      </header>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys.split(" ").map((key) => key && <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Over>
  );
}

function Stop() {
  const close = () => (dialog.value = null);
  return (
    <Over label="Stop everything" name="stop">
      <h2>Stop everything?</h2>
      <p>
        Running runs are canceled within a second and nothing new begins. Events are still kept, and wait until you
        resume.
      </p>
      <div class="actions">
        <Button onPress={close}>Keep running</Button>
        <Button
          kind="danger"
          icon="stop"
          autofocus
          onPress={async () => {
            await setStopped(true);
            close();
          }}
        >
          Stop now
        </Button>
      </div>
    </Over>
  );
}

function More() {
  return (
    <Over label="More pages" name="more">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a link is a click too */}
      <nav aria-label="More pages" onClick={() => (dialog.value = null)}>
        {NAV.slice(4).map((item) => (
          <NavLink key={item.href} item={item} />
        ))}
      </nav>
    </Over>
  );
}

interface Deed {
  readonly text: string;
  readonly hint: string;
  readonly icon: IconName;
  readonly act: () => unknown;
}

function Palette() {
  const text = useSignal("");
  const at = useSignal(0);
  const schedules = useQuery<Page<Schedule>>("/api/schedules");
  const query = text.value.trim();
  const words = query.toLowerCase().split(/\s+/);
  const list = [
    ...deeds(schedules.data?.items ?? []).filter((deed) =>
      words.every((word) => `${deed.hint} ${deed.text}`.toLowerCase().includes(word)),
    ),
    ...searches(query),
  ].slice(0, 12);
  const choose = (deed: Deed | undefined) => {
    if (!deed) return;
    dialog.value = null;
    deed.act();
  };
  const press = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      at.value = (at.value + step + list.length) % Math.max(1, list.length);
      document.getElementById(`palette-${at.value}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") choose(list[at.value]);
    else return;
    event.preventDefault();
  };
  return (
    <Over label="Go to, search, do" name="palette">
      <div class="palette-field">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={`palette-${at.value}`}
          aria-label="Go to, search, do"
          placeholder="Where to, or what to do?"
          autocomplete="off"
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            at.value = 0;
          }}
          onKeyDown={press}
        />
      </div>
      <div class="palette-list" id="palette-list" role="listbox" aria-label="Found">
        {list.map((deed, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above hears the keys
          <div
            key={deed.hint + deed.text}
            id={`palette-${index}`}
            class="palette-item"
            role="option"
            tabIndex={-1}
            aria-selected={index === at.value}
            onClick={() => choose(deed)}
            onPointerMove={() => (at.value = index)}
          >
            <Icon name={deed.icon} />
            <span>{deed.text}</span>
            <span class="faint">{deed.hint}</span>
          </div>
        ))}
        {list.length === 0 && <p class="palette-none">Nothing of that name.</p>}
      </div>
    </Over>
  );
}

function deeds(schedules: readonly Schedule[]): Deed[] {
  const stopped = status.value?.stopped ?? false;
  return [
    ...NAV.map((item) => ({ text: item.text, hint: "Go to", icon: item.icon, act: () => go(item.href) })),
    { text: "New conversation", hint: "Chat", icon: "plus", act: () => go("/chat") },
    { text: "Failed runs", hint: "Runs", icon: "alert", act: () => go("/runs?status=failed") },
    { text: "Dead events", hint: "Events", icon: "alert", act: () => go("/events?outcome=dead") },
    { text: "Refused requests", hint: "Events", icon: "approvals", act: () => go("/events/refusals") },
    ...schedules.map((one) => ({
      text: `Run ${one.name} now`,
      hint: "Schedules",
      icon: "play" as const,
      act: () => fire(one.name),
    })),
    stopped
      ? { text: "Resume", hint: "Everything", icon: "play", act: () => setStopped(false) }
      : { text: "Stop everything", hint: "STOP", icon: "stop", act: () => (dialog.value = "stop") },
    { text: "Keys", hint: "Help", icon: "search", act: () => (dialog.value = "help") },
  ];
}

function searches(query: string): Deed[] {
  if (!query) return [];
  const to = (address: string) => () => go(address);
  if (/^evt_\w{26}$/.test(query)) return [{ text: query, hint: "Event", icon: "events", act: to(`/events/${query}`) }];
  if (/^run_\w{26}$/.test(query)) return [{ text: query, hint: "Run", icon: "runs", act: to(`/runs/${query}`) }];
  const words = encodeURIComponent(query);
  return [
    { text: `Events that contain “${query}”`, hint: "Search", icon: "search", act: to(`/events?q=${words}`) },
    { text: `Ask: ${query}`, hint: "Chat", icon: "chat", act: to(`/chat?ask=${words}`) },
  ];
}
