import type { EventDetail, Run } from "./api.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** What times are counted in, in milliseconds. */
export const UNITS = [
  [DAY, "d"],
  [HOUR, "h"],
  [MINUTE, "min"],
  [SECOND, "s"],
] as const;

const TIME = { hour: "2-digit", minute: "2-digit" } as const;
const DATE = { weekday: "short", day: "numeric", month: "short" } as const;

/** US dollars as people read them: `$0.00`, `$0.0004`, `$1.20`. */
export function money(usd: number): string {
  if (usd !== 0 && Math.abs(usd) < 0.00005) return "<$0.0001";
  return `$${usd.toFixed(usd !== 0 && Math.abs(usd) < 0.1 ? 4 : 2)}`;
}

/** A count in few characters: `912`, `12.4k`, `3.1M`. */
export function count(value: number): string {
  if (value < 10_000) return value.toLocaleString("en-GB");
  return value < 999_500 ? `${trim(value / 1e3)}k` : `${trim(value / 1e6)}M`;
}

/** A length of time: `0 ms`, `840 ms`, `3.2 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const rest = Math.max(0, milliseconds);
  if (rest < SECOND) return `${Math.round(rest)} ms`;
  if (rest < MINUTE) return `${trim(rest / SECOND)} s`;
  if (rest < HOUR) return pair(rest, MINUTE, "min", SECOND, "s");
  if (rest < DAY) return pair(rest, HOUR, "h", MINUTE, "min");
  return pair(rest, DAY, "d", HOUR, "h");
}

/** How far from now: `now`, `12 s ago`, `3 min ago`, `in 2 h`, then the day: `17 Nov`. */
export function relative(at: Date, now: Date, zone: string): string {
  const distance = now.getTime() - at.getTime();
  const size = Math.abs(distance);
  if (size < 5 * SECOND) return "now";
  if (size >= 6 * DAY) {
    return format(at, zone, { day: "numeric", month: "short", ...yearOf(at, now) });
  }
  const [unit, word] = UNITS.find(([unit]) => size >= unit)!;
  const text = `${Math.floor(size / unit)} ${word}`;
  return distance > 0 ? `${text} ago` : `in ${text}`;
}

/** The whole time in a zone: `Tue, 24 Nov 2026, 14:03:12 CET`. */
export function absolute(at: Date, zone: string): string {
  return format(at, zone, { ...DATE, year: "numeric", ...TIME, second: "2-digit", timeZoneName: "short" });
}

/** A day and a time of day, with the year where it is not this one: `Tue 24 Nov, 14:03`, `Tue 29 Feb 2028, 00:00`. */
export function dayAndTime(at: Date, zone: string, now: Date): string {
  const day = format(at, zone, { ...DATE, ...yearOf(at, now) }).replace(",", "");
  return `${day}, ${format(at, zone, TIME)}`;
}

/** The year is said only where it is not the one of now. */
function yearOf(at: Date, now: Date): Intl.DateTimeFormatOptions {
  return at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
}

/** The clock alone: `14:03:12`. */
export function clock(at: Date, zone: string): string {
  return format(at, zone, { ...TIME, second: "2-digit" });
}

/** A size: `0 B`, `312 B`, `4.1 kB`, `1.2 MB`. */
export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${trim(size / 1e3)} kB` : `${trim(size / 1e6)} MB`;
}

/** `1 run`, `2 runs`. */
export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

/** The end of an id, enough to tell two apart: `evt_…4k2m9x`. */
export function shortId(id: string): string {
  return id.length > 14 ? `${id.slice(0, id.indexOf("_") + 1)}…${id.slice(-6)}` : id;
}

/** The events that are dead because a run of the same handler has failed with the same code. */
export function failedLike(run: { handler: string; error: { code: string } | null }): string {
  const query = { outcome: "dead", handler: run.handler, ...(run.error ? { error: run.error.code } : {}) };
  return `/events?${new URLSearchParams(query)}`;
}

/** A request as a `curl` command that sends the same bytes again. */
export function curl(request: NonNullable<EventDetail["request"]>, origin: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const ours = /^(host|connection|content-length|accept-encoding|transfer-encoding|x-forwarded-.*|expect)$/i;
  const url = new URL(request.url, origin);
  const lines = [
    `curl -X ${request.method} ${quote(origin + url.pathname + url.search)}`,
    ...Object.entries(request.headers)
      .filter(([name]) => !ours.test(name))
      .map(([name, value]) => `  -H ${quote(`${name}: ${value}`)}`),
  ];
  if (request.body === null) {
    return `printf %s ${request.bodyBase64} | base64 -d | ${[...lines, "  --data-binary @-"].join(" \\\n")}`;
  }
  return [...lines, ...(request.body ? [`  --data-binary ${quote(request.body)}`] : [])].join(" \\\n");
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(at: Date, zone: string, options: Intl.DateTimeFormatOptions): string {
  const key = zone + Object.entries(options).join();
  const found = formats.get(key) ?? new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
  formats.set(key, found);
  return found.format(at);
}

function pair(value: number, big: number, bigWord: string, small: number, smallWord: string): string {
  const whole = Math.floor(value / big);
  const rest = Math.floor((value - whole * big) / small);
  return `${whole} ${bigWord}${rest ? ` ${rest} ${smallWord}` : ""}`;
}

/** What a waiting run waits for, in words. */
export function waitingFor({ waiting }: Run): string {
  switch (waiting?.kind) {
    case "sleep":
      return `sleeps in “${waiting.step}”`;
    case "event":
      return `waits for an event ${waiting.source} ${waiting.type}`;
    case "approval":
      return "waits for your approval";
    case "retry":
      return `waits before try ${waiting.attempt + 1}: ${waiting.error.message}`;
    case "debounce":
      return `gathers events, ${waiting.events} so far`;
    case "paused":
      return `waits: the ${waiting.name.replace(":", " ")} is paused`;
    case "rate":
      return `waits for its turn: at most ${waiting.limit} begin in ${duration(waiting.milliseconds)}`;
    default:
      return "waits";
  }
}

function trim(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}
