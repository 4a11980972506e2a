import { setTimeout as sleep } from "node:timers/promises";
import type { Delivery, EventDetail, EventItem } from "../console/web/api.ts";
import { call, findServer, stream } from "./connection.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { change, ownerZone, pathOf, query, type ReadOptions, showList } from "./read.ts";
import { editData, type ManyOptions, parseData, putRight } from "./repairs.ts";
import { printRun, setPaused, waitFor } from "./runs.ts";
import { dim, facts, line, paint, pretty, print, printJson, say, status, time } from "./terminal.ts";

export const listEvents = ({ text, ...options }: ReadOptions & { text?: string }) =>
  showList<EventItem>(`/api/events${query({ ...options, q: text })}`, options, {
    none: text || Object.keys(options)[0] ? "No event is like that." : "No events. Send one: daimon send github push",
    columns: {
      ID: (event) => event.id,
      OUTCOME: (event) => status(event.outcome),
      RECEIVED: (event, zone) => time(event.receivedAt, zone),
      RUNS: ({ runs }) => `${runs.total}${runs.failed > 0 ? paint("red", ` ${runs.failed} failed`) : ""}`,
      EVENT: (event) => line(`${event.source} ${event.type} ${event.reason ? `(${event.reason})` : ""}`),
    },
  });

export async function showEvent(id: string, options: ReadOptions & { raw?: boolean }) {
  const event = await call<EventDetail>("GET", await pathOf("/api/events", id));
  if (options.json) return printJson(event);
  const zone = await ownerZone();
  facts([
    ["Event", paint("bold", event.id)],
    ["From", line(`${event.source} ${event.type}`)],
    ["Key", line(event.key)],
    ["Received", time(event.receivedAt, zone)],
    ["Outcome", `${status(event.outcome)} ${line(event.reason ?? "")}`],
    ["Problem", event.problem && paint("red", line(event.problem))],
    ["Replay of", event.replayOf],
    ["Replays", event.replays?.join(" ")],
  ]);
  if (options.raw && event.request) {
    print(`${dim("Request")}  ${line(`${event.request.method} ${event.request.url}`)}`);
    for (const [name, value] of Object.entries(event.request.headers)) print(`  ${line(`${name}: ${value}`)}`);
  }
  print(`${dim("Data")}  ${pretty(event.data)}`);
  for (const run of event.runs) {
    print("");
    printRun(run, zone);
  }
}

interface ReplayOptions extends ManyOptions {
  readonly data?: string;
  readonly edit?: boolean;
  readonly text?: string;
}

/** Replays one event, with other data when it is given, or all of a filter. */
export async function replayEvent(id: string | undefined, given: ReplayOptions) {
  const { data, edit, json, wait, preview, yes, text, ...filter } = given;
  const options = { ...(json ? { json } : {}), ...(wait ? { wait } : {}) };
  const many = Object.keys(filter).length > 0 || text !== undefined || preview || yes;
  if (id && many) throw usage("An id is one event, a filter many.", "Give one of the two.");
  if (!id && (edit || data !== undefined)) throw usage("Other data is for one event.", "Give its id.");
  if (!id) return await putRight("replay", { ...filter, q: text }, given);
  const path = await pathOf("/api/events", id);
  const body = edit
    ? { data: await editData((await call<EventDetail>("GET", path)).data) }
    : data === undefined
      ? undefined
      : { data: parseData(data) };
  const answer = await change<{ eventId: string; runIds: string[] }>(
    ["POST", `${path}/replays`, body],
    options,
    ({ runIds }) => runIds.map(print),
  );
  if (body) say(`The event ${answer.eventId} was made of it; the first one stays as it came.`);
  if (answer.runIds.length === 0) say("No trigger wants this event now: no run was queued.");
  else if (wait) await waitFor(answer.runIds);
  else say(`Next: daimon runs watch ${answer.runIds[0]}`);
}

export const pauseSource = (name: string, options: ReadOptions) => setPaused("source", name, true, options);
export const resumeSource = (name: string, options: ReadOptions) => setPaused("source", name, false, options);

interface SendOptions extends ReadOptions {
  readonly times?: number;
  readonly badSignature?: boolean;
  readonly stale?: boolean;
  readonly duplicate?: boolean;
  readonly data?: string;
  readonly wait?: boolean;
}

/** Sends signed samples through the real door. Throws `webhook.refused` for an honest one, and `run.failed` under `--wait`. */
export async function send(source: string, type: string | undefined, given: SendOptions) {
  const { wait, json: _, ...options } = given;
  const data = options.data === undefined ? {} : { data: parseData(options.data) };
  const request = ["POST", "/api/samples", { source, type, ...options, ...data }] as const;
  const { deliveries } = await change<{ deliveries: Delivery[] }>(request, given, (answer) =>
    answer.deliveries.forEach(printDelivery),
  );
  const refused = deliveries.filter((delivery) => delivery.status >= 400);
  if (refused.length > 0 && !options.badSignature && !options.stale) {
    const message = `${refused.length} of ${deliveries.length} were refused: ${wordsOf(refused[0]!)}`;
    throw new CliError(EXIT.failed, "webhook.refused", message, "daimon doctor");
  }
  const eventIds = [...new Set(deliveries.flatMap((delivery) => eventOf(delivery) ?? []))];
  if (!wait && eventIds[0]) say(`Next: daimon events show ${eventIds[0]}`);
  for (const id of wait ? eventIds : []) {
    const { runs } = await call<EventDetail>("GET", `/api/events/${id}`);
    await waitFor(runs.map((run) => run.id));
  }
}

const eventOf = ({ body }: Delivery) => (body as { id?: string } | null)?.id;

function wordsOf({ status: code, body }: Delivery): string {
  const { error } = (body ?? {}) as { error?: { message: string } };
  return line(error?.message ?? `${code}`);
}

function printDelivery(delivery: Delivery): void {
  const good = delivery.status < 400;
  const code = status(good ? "ok" : "failed", String(delivery.status));
  const { id = "", duplicate } = (delivery.body ?? {}) as { id?: string; duplicate?: boolean };
  const known = duplicate ? "  duplicate: this is the first one's event" : "";
  print(`${code}  ${good ? `${id}${known}` : wordsOf(delivery)}`);
}

/** Prints each event as it comes in, across restarts of the server, until Ctrl-C. */
export async function listen(source: string | undefined, options: ReadOptions) {
  findServer();
  const zone = await ownerZone();
  const { signal } = new AbortController();
  for (;;) {
    try {
      for await (const { event, data } of stream("GET", "/api/live", { signal })) {
        const { kind, id } = data as { kind: string; id: string };
        if (event === "open") say(`Listening at ${findServer().url}. Ctrl-C ends it.`);
        if (kind === "event") await printEvent(id, { source, zone, ...options });
      }
    } catch (error) {
      // While the server is away, `server.down` is no news.
      if (!(error instanceof CliError) || error.exit !== EXIT.failed) throw error;
    }
    await sleep(1000);
  }
}

async function printEvent(id: string, options: ReadOptions & { source: string | undefined; zone: string }) {
  const event = await call<EventDetail>("GET", `/api/events/${id}`);
  if (options.source && options.source !== event.source) return;
  if (options.json) return print(JSON.stringify(event));
  const at = new Date(event.receivedAt).toLocaleTimeString("en-GB", { timeZone: options.zone });
  const runs = event.runs.map((run) => run.handler).join(", ");
  const what = line(`${event.source} ${event.type} ${runs}`);
  print(`${dim(at)}  ${event.id}  ${status(event.outcome)}  ${what}`);
}
