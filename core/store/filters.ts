import { firstId } from "../base/ids.ts";
import type { EventOutcome } from "../define/event.ts";
import type { RunStatus } from "../define/run.ts";

/** Which events are meant: each field narrows it. Times are ISO 8601. */
export interface EventFilter {
  readonly source?: string | undefined;
  /** A type, or all below one: `issues.*`. */
  readonly type?: string | undefined;
  readonly outcome?: EventOutcome | undefined;
  /** Words and paths that the event holds; see `toTerms`. */
  readonly q?: string | undefined;
  /** Came in at this time or later. */
  readonly since?: string | undefined;
  /** Came in before this time. */
  readonly until?: string | undefined;
  /** Has a run of this handler; with `error` or the outcome `dead`, the run that failed is of this handler. */
  readonly handler?: string | undefined;
  /** A run of it has failed for good with this code. */
  readonly error?: string | undefined;
  /** A run of it that nothing stands for yet belongs to this issue. */
  readonly issue?: string | undefined;
}

/** Which runs are meant: each field narrows it. */
export interface RunFilter {
  readonly status?: RunStatus | undefined;
  readonly handler?: string | undefined;
  readonly event?: string | undefined;
  /** The issue of its last failure. */
  readonly issue?: string | undefined;
  /** The code of its error. */
  readonly error?: string | undefined;
  /** Text of its error, in either case. */
  readonly q?: string | undefined;
  /** Was made at this time or later. */
  readonly since?: string | undefined;
  /** Was made before this time. */
  readonly until?: string | undefined;
  /** Came of this replay or retry of many: the id of its run. */
  readonly order?: string | undefined;
}

/**
 * No later run of the same handler on the same event stands for the run `r`. A failed one makes its event dead: nothing
 * is written for it, so that the event is dispatched again as soon as a retry or a replay has been queued. The offset
 * keeps this a look at one event: as a join, each run would be held against all runs of its handler.
 */
export const stands = (event = "r.event_id"): string =>
  `not exists (select from runs l where ${ofEvent(event, "l")} and l.handler = r.handler and l.id > r.id offset 0)`;

/** The runs `run` of an event: its own, and those that have gathered it in a burst. */
export const ofEvent = (event: string, run = "r"): string =>
  `${run}.id = any(array(select own.id from runs own where own.event_id = ${event}
    union select joined.run_id from bursts joined where joined.event_id = ${event}))`;

/** All events `o` of the run `r`. */
export const EVENTS_OF_RUN = `cross join lateral (select r.event_id union select b.event_id from bursts b where b.run_id = r.id) o`;

/** Why the event `e` is dead; null when it is not. A run that has gathered a burst is a run of each of its events. */
export const DEAD_REASON = `coalesce(e.problem, (select r.handler || ' failed: ' || coalesce(r.error ->> 'message', '')
  from runs r where ${ofEvent("e.id")} and r.status = 'failed' and ${stands("e.id")} order by r.id desc limit 1))`;

/** The filter as a condition on `events e`; its values are added to `values`. */
export function eventCondition(filter: EventFilter, values: unknown[]): string {
  const { source, type, outcome, handler, error } = filter;
  const value = (one: unknown) => `$${values.push(one)}`;
  const parts = timeParts("evt", "e.id", filter, value);
  if (source) parts.push(`e.source = ${value(source)}`);
  if (type?.endsWith(".*")) parts.push(`starts_with(e.type, ${value(type.slice(0, -1))})`);
  else if (type) parts.push(`e.type = ${value(type)}`);
  if (outcome === "dead" || error) {
    const failed = [`r.status = 'failed'`, stands("o.event_id")];
    if (handler) failed.push(`r.handler = ${value(handler)}`);
    if (error) failed.push(`r.error ->> 'code' = ${value(error)}`);
    const unread = handler || error ? "" : " union all select id from events where problem is not null";
    parts.push(`e.id in (select o.event_id from runs r ${EVENTS_OF_RUN} where ${failed.join(" and ")}${unread})`);
  } else if (handler) {
    parts.push(`exists (select from runs r where ${ofEvent("e.id")} and r.handler = ${value(handler)})`);
  }
  if (filter.issue) {
    parts.push(
      `e.id in (select o.event_id from runs r ${EVENTS_OF_RUN} where r.issue_id = ${value(filter.issue)} and r.status = 'failed' and ${stands("o.event_id")})`,
    );
  }
  if (outcome && outcome !== "dead") parts.push(`e.outcome = ${value(outcome)} and ${DEAD_REASON} is null`);
  for (const term of toTerms(filter.q ?? "")) parts.push(termCondition(term, value));
  return parts.join(" and ") || "true";
}

/** The filter as a condition on `runs r`; its values are added to `values`. */
export function runCondition(filter: RunFilter, values: unknown[]): string {
  const { status, handler, event, issue, error, q, order } = filter;
  const value = (one: unknown) => `$${values.push(one)}`;
  const parts = timeParts("run", "r.id", filter, value);
  if (status) parts.push(`r.status = ${value(status)}`);
  if (handler) parts.push(`r.handler = ${value(handler)}`);
  if (event) parts.push(ofEvent(value(event)));
  if (issue) parts.push(`r.issue_id = ${value(issue)}`);
  // Only these two have an error; each stands in an index, however many runs are finished.
  if ((error || q) && !status) parts.push("(r.status = 'failed' or (r.status = 'waiting' and r.wake_at is not null))");
  if (error) parts.push(`r.error ->> 'code' = ${value(error)}`);
  if (q) parts.push(`position(lower(${value(q)}) in lower(r.error ->> 'message')) > 0`);
  if (order) parts.push(`r.id in (select unnest(run_ids) from repairs where order_id = ${value(order)})`);
  return parts.join(" and ") || "true";
}

type Say = (value: unknown) => string;

/** Ids sort by the time they were made, and stand in an index. */
function timeParts(prefix: "evt" | "run", id: string, { since, until }: EventFilter | RunFilter, value: Say): string[] {
  const bound = (time: string) => value(firstId(prefix, Date.parse(time)));
  return [...(since ? [`${id} >= ${bound(since)}`] : []), ...(until ? [`${id} < ${bound(until)}`] : [])];
}

/** A piece of what is looked for: its letters as they stand, and what they say of a path of the data. */
interface Term {
  readonly text: string;
  readonly path?: { readonly names: readonly string[]; readonly value: string };
}

const PATH = /(?<=^|\s)([A-Za-z_$][\w$-]*(?:\.[\w$-]+)*)[:=](?:"([^"]+)"|((?!\/\/)[^\s"]\S*))(?=\s|$)/g;

/**
 * What is typed into a search, taken apart: `customer.email:jane@example.com` (or with `=`) is the value at that path of
 * the data, where `*` stands for any letters, quotes hold a value together and a list is looked through; all that
 * stands between is one text each. All of them must be there.
 */
function toTerms(q: string): Term[] {
  const terms: Term[] = [];
  let end = 0;
  const addText = (text: string) => {
    if (text.trim()) terms.push({ text: text.trim() });
  };
  for (const found of q.matchAll(PATH)) {
    addText(q.slice(end, found.index));
    const [text, path, quoted, plain] = found;
    terms.push({ text, path: { names: path!.split("."), value: quoted ?? plain! } });
    end = found.index + text.length;
  }
  addText(q.slice(end));
  return terms;
}

/** A path may be meant from the data or from the event (`data.…`), and what looks like one may be mere text. */
function termCondition({ text, path }: Term, value: Say): string {
  const asText = textCondition(text, value);
  if (!path) return asText;
  const { names } = path;
  const paths = names[0] === "data" && names.length > 1 ? [names, names.slice(1)] : [names];
  const pattern = value(
    path.value
      .toLowerCase()
      .replace(/[\\%_]/g, "\\$&")
      .replaceAll("*", "%"),
  );
  const asPath = paths.map(
    (
      one,
    ) => `exists (select from jsonb_path_query(event_data(e.data, e.body), ${value(jsonPath(one))}::jsonpath, '{}', true) v
      where lower(v #>> '{}') like ${pattern})`,
  );
  return `(${[asText, ...asPath].join(" or ")})`;
}

/** Lax, so that a list on the way is looked through (https://www.postgresql.org/docs/current/functions-json.html). */
const jsonPath = (names: readonly string[]): string =>
  `$${names.map((name) => (/^\d+$/.test(name) ? `[${name}]` : `.${JSON.stringify(name)}`)).join("")}`;

/**
 * In the bytes of the event's own body, or in data that was kept apart. `encode(…, 'escape')` makes text of any bytes,
 * UTF-8 or not: ASCII stays, the rest becomes octal digits. Senders that escape other letters (`\u00e9`) are read as JSON.
 */
function textCondition(text: string, value: Say): string {
  const wanted = value(text);
  const inBody = `position(lower(encode(convert_to(${wanted}, 'UTF8'), 'escape')) in lower(encode(e.body, 'escape'))) > 0`;
  const data = /\P{ASCII}/u.test(text) ? "event_data(e.data, e.body)" : "e.data";
  return `(${inBody} or position(lower(${wanted}) in lower(${data}::text)) > 0)`;
}
