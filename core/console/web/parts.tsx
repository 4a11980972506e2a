import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { ApiError, Failure, IssueItem, Label, Run } from "./api.ts";
import { absolute, dayAndTime, duration, relative, shortId } from "./format.ts";
import { Icon, type IconName } from "./icons.tsx";
import { now } from "./live.ts";
import { useQuery } from "./query.ts";
import { toast, zone } from "./state.ts";

export type Tone = "good" | "bad" | "warn" | "info" | "idle";

const TONES: Readonly<Record<string, Tone>> = {
  running: "info",
  sending: "info",
  started: "info",
  waiting: "warn",
  skipped: "warn",
  warning: "warn",
  unknown: "warn",
  "outcome unknown": "warn",
  expired: "warn",
  completed: "good",
  dispatched: "good",
  delivered: "good",
  approved: "good",
  ok: "good",
  live: "good",
  closed: "good",
  failed: "bad",
  open: "bad",
  dead: "bad",
  denied: "bad",
  refused: "bad",
};

export const toneOf = (status: string): Tone => TONES[status] ?? "idle";

/** A status: a dot and the word, never colour alone. */
export function Status({ value, tone, word }: { value: string; tone?: Tone; word?: string }) {
  return (
    <span class="status" data-tone={tone ?? toneOf(value)} data-status={value}>
      <i class="dot" />
      {word ?? value}
    </span>
  );
}

/** A time relative to now, the whole of it on hover; `row`: at the end of one. */
export function Time({ at, row }: { at: string | null | undefined; row?: boolean }) {
  if (!at) return <span class={row ? "row-time faint" : "faint"}>never</span>;
  const date = new Date(at);
  return (
    <time class={row ? "row-time" : undefined} dateTime={at} title={absolute(date, zone.value)}>
      {relative(date, now.value, zone.value)}
    </time>
  );
}

/** The day and the time of day where the owner is: `Tue 24 Nov, 14:03`. */
export const ownDayAndTime = (at: string): string => dayAndTime(new Date(at), zone.value, now.value);

/** How long it took, or takes so far. */
export function Elapsed({ from, to }: { from: string | null; to: string | null }) {
  if (!from) return <span class="faint">–</span>;
  const end = to ? new Date(to) : now.value;
  return <span class="num">{duration(end.getTime() - new Date(from).getTime())}</span>;
}

interface ButtonProps {
  readonly children?: ComponentChildren;
  readonly label?: string;
  readonly icon?: IconName;
  readonly kind?: "primary" | "danger" | "quiet" | "plain";
  readonly disabled?: boolean;
  /** While the promise is pending the button is busy and cannot be pressed again. */
  readonly onPress: () => unknown;
  readonly title?: string;
  readonly autofocus?: boolean;
}

export function Button(props: ButtonProps) {
  const busy = useSignal(false);
  const press = async () => {
    if (busy.value) return;
    busy.value = true;
    try {
      await props.onPress();
    } finally {
      busy.value = false;
    }
  };
  return (
    <button
      type="button"
      class={`button ${props.kind ?? "plain"}${props.children ? "" : " square"}`}
      aria-label={props.label}
      title={props.title ?? (props.children ? undefined : props.label)}
      aria-busy={busy.value}
      disabled={props.disabled}
      onClick={press}
      ref={(button) => {
        if (props.autofocus) button?.focus();
      }}
    >
      {props.icon && <Icon name={props.icon} />}
      {props.children}
    </button>
  );
}

/** A form whose own button sends it once, however often it is pressed before the answer is there. */
export function Form(props: {
  class: string;
  onSend: (form: HTMLFormElement) => Promise<unknown>;
  children: ComponentChildren;
}) {
  const busy = useSignal(false);
  const send = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    await props.onSend(event.currentTarget);
    busy.value = false;
  };
  return (
    <form class={props.class} aria-busy={busy.value} onSubmit={send}>
      {props.children}
    </form>
  );
}

export function CopyButton({ text, children }: { text: string; children?: ComponentChildren }) {
  const copied = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return toast("bad", "The browser does not let this page copy.", "Select the text and copy it by hand.");
    }
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, 1500);
  };
  return (
    <Button icon={copied.value ? "check" : "copy"} kind={children ? "plain" : "quiet"} label="Copy" onPress={copy}>
      {children && (copied.value ? "Copied" : children)}
    </Button>
  );
}

/** A command to type, with a button that copies it. */
export function Command({ text }: { text: string }) {
  return (
    <span class="command">
      <code>{text}</code>
      <CopyButton text={text} />
    </span>
  );
}

/** A page: its title, a line below it, actions on the right. */
export function PageBody(props: {
  title: string;
  heading?: ComponentChildren;
  back?: { href: string; text: string };
  sub?: ComponentChildren;
  actions?: ComponentChildren;
  wide?: boolean;
  children?: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · Daimon`;
  }, [props.title]);
  return (
    <div class="page">
      {props.back && (
        <a class="back" href={props.back.href}>
          <Icon name="left" size={14} /> {props.back.text}
        </a>
      )}
      <header class="page-head">
        <div class="page-title">
          <h1>{props.heading ?? props.title}</h1>
          {props.sub && <div class="page-sub">{props.sub}</div>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </div>
  );
}

export function Panel(props: {
  title?: ComponentChildren;
  aside?: ComponentChildren;
  flush?: boolean;
  tone?: Tone;
  children?: ComponentChildren;
}) {
  return (
    <section class={`panel${props.flush ? " flush" : ""}`} data-tone={props.tone}>
      {props.title && (
        <header class="panel-head">
          <h2>{props.title}</h2>
          {props.aside && <div class="panel-aside">{props.aside}</div>}
        </header>
      )}
      {props.children}
    </section>
  );
}

/** What stands where nothing is yet: what would be here, and how to bring it about. */
export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={props.icon} size={22} />
      <strong>{props.title}</strong>
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

/** An error: what and why, then what to do next. */
export function Problem(props: { failure: Failure | ApiError; tone?: "bad" | "warn"; children?: ComponentChildren }) {
  const { failure, tone, children } = props;
  return (
    <div class="problem" data-tone={tone ?? "bad"} role={tone === "warn" ? "note" : "alert"}>
      <Icon name="alert" />
      <div>
        <p>{failure.message}</p>
        {failure.next && <p class="next">{failure.next}</p>}
      </div>
      {children}
    </div>
  );
}

/** What a page shows before its answer is there: the error, or quiet lines. */
export function Pending({ error, lines = 6 }: { error: ApiError | null; lines?: number }) {
  if (error) return <Problem failure={error} />;
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} />
      ))}
    </div>
  );
}

/** What the page of one thing is before its answer is there. */
export function PendingPage(props: { title: string; back: { href: string; text: string }; error: ApiError | null }) {
  return (
    <PageBody title={props.title} back={props.back}>
      <Pending error={props.error} lines={8} />
    </PageBody>
  );
}

/** What lies over the page until it is answered, left by Esc, or clicked away. */
export function Dialog(props: { label: string; class: string; onClose: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const opened = element.current;
    opened?.showModal();
    // Gives the focus back to where it was.
    return () => opened?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc closes a dialog by itself
    <dialog
      ref={element}
      class={`dialog ${props.class}`}
      aria-label={props.label}
      onClose={props.onClose}
      onClick={(event) => event.target === element.current && props.onClose()}
    >
      <div class="dialog-body">{props.children}</div>
    </dialog>
  );
}

/** Tabs that are links or buttons; the arrow keys are left to the page. */
export function Tabs<Name extends string>(props: {
  label: string;
  tabs: readonly { name: Name; text: string; count?: number | undefined; href?: string }[];
  current: Name;
  onPick?: (name: Name) => void;
}) {
  const nav = useRef<HTMLElement>(null);
  // A phone is too narrow for all of them.
  useLayoutEffect(() => {
    const chosen = nav.current!.querySelector(".tab[aria-pressed=true], .tab[aria-current]");
    const middle = (element: Element) => element.getBoundingClientRect().x + element.clientWidth / 2;
    if (chosen) nav.current!.scrollLeft += middle(chosen) - middle(nav.current!);
  }, [props.current]);
  return (
    <nav class="tabs" aria-label={props.label} ref={nav}>
      {props.tabs.map((tab) => {
        const inside = (
          <>
            {tab.text}
            {tab.count !== undefined && <span class="count">{tab.count}</span>}
          </>
        );
        const current = tab.name === props.current;
        return tab.href ? (
          <a key={tab.name} class="tab" href={tab.href} aria-current={current ? "page" : undefined}>
            {inside}
          </a>
        ) : (
          <button
            key={tab.name}
            type="button"
            class="tab"
            aria-pressed={current}
            onClick={() => props.onPick?.(tab.name)}
          >
            {inside}
          </button>
        );
      })}
    </nav>
  );
}

/** Words to choose from, or what each is called. */
export type Options<Word extends string = string> = readonly Word[] | Readonly<Record<Word, string>>;

/** A choice among words. */
export function Choice<Word extends string>(props: {
  label: string;
  value: Word | "";
  options: Options<Word>;
  /** What no choice is called; without it there is always one. */
  any?: string;
  onPick: (value: Word) => void;
}) {
  const { label, value, options, any, onPick } = props;
  const named = Array.isArray(options) ? options.map((word) => [word, word]) : Object.entries<string>(options);
  return (
    <select
      class="field"
      aria-label={label}
      value={value}
      onChange={(event) => onPick(event.currentTarget.value as Word)}
    >
      {any && <option value="">{any}</option>}
      {named.map(([word, name]) => (
        <option key={word} value={word}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** The end of an id; the whole of it on hover and for copying. */
export function Id({ id, href }: { id: string; href?: string }) {
  return href ? (
    <a class="id" href={href} title={id}>
      {shortId(id)}
    </a>
  ) : (
    <code class="id" title={id}>
      {shortId(id)}
    </code>
  );
}

/** The id of what a page is about, to be copied. */
export function CopyableId({ id }: { id: string }) {
  return (
    <span class="id-copy">
      <Id id={id} />
      <CopyButton text={id} />
    </span>
  );
}

/** `trigger:github/note-push` as what it is and what it is called. */
export function Handler({ name }: { name: string }) {
  const [kind, rest] = name.includes(":") ? name.split(/:(.*)/, 2) : ["", name];
  return (
    <span class="handler">
      {kind && <span class="kind">{kind}</span>}
      <span class="name">{rest}</span>
    </span>
  );
}

/** How far content is trusted, and how private it is. */
export function LabelMark({ label }: { label: Label }) {
  return (
    <span
      class="label-mark"
      title="How far what this has read is trusted, and how private it is. A run carries the join of all it has read."
    >
      {label.integrity} · {label.privacy}
    </span>
  );
}

/** A run's status as it changes, leading to the run. */
export function RunState({ id }: { id: string }) {
  const { data: run } = useQuery<Run>(`/api/runs/${id}`, (change) => change.kind === "run" && change.id === id);
  return (
    <a class="run-state" href={`/runs/${id}`} title={id}>
      {shortId(id)} {run && <Status value={run.status} />}
    </a>
  );
}

/** Where in the capability's own code it was thrown. */
export function Frames({ of }: { of: Failure | null }) {
  if (!of?.at?.length) return null;
  return (
    <Panel title="Where in the capability's code" aside={<code>{of.code}</code>}>
      <ol class="frames mono">
        {of.at.map((frame) => (
          <li key={frame}>{frame}</li>
        ))}
      </ol>
    </Panel>
  );
}

const KIND_TONES: Readonly<Record<IssueItem["kind"], Tone>> = { failure: "bad", silence: "warn", shape: "info" };

/** An issue's kind, in the colour of how it stands. */
export function KindMark({ issue }: { issue: IssueItem }) {
  const open = issue.status === "open";
  return <Status value={issue.status} tone={open ? KIND_TONES[issue.kind] : "idle"} word={issue.kind} />;
}
