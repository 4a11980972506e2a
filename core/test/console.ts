import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { serve } from "@hono/node-server";
import { DaimonError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { createLive, type Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import { createConsole } from "../console/console.ts";
import type { Actions, ConsoleOptions, PageFile } from "../console/options.ts";
import type { Database } from "../store/database.ts";
import { createToken, type Scope } from "../store/logins.ts";
import { testDatabase } from "./database.ts";

/** A clock that stands still until it is moved on; what is due then is woken. */
export function testClock(start = new Date("2026-11-22T12:00:00Z")) {
  let now = start.getTime();
  const waiting = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => new Date(now),
    after(milliseconds: number, wake: () => void) {
      const entry = { at: now + milliseconds, wake };
      waiting.add(entry);
      return () => waiting.delete(entry);
    },
    advance(milliseconds: number) {
      now += milliseconds;
      for (const entry of [...waiting].filter((each) => each.at <= now)) {
        waiting.delete(entry);
        entry.wake();
      }
    },
    waiting,
  };
}

const quiet: Log = { info() {}, warn() {}, error() {}, with: () => quiet };

/** Where the test's console believes that it listens. */
export const ORIGIN = "http://127.0.0.1:4242";

export interface TestConsole {
  readonly database: Database;
  readonly live: Live;
  readonly clock: ReturnType<typeof testClock>;
  readonly app: ReturnType<typeof createConsole>;
  token(scope: Scope): Promise<string>;
  /** Asks with a token of all scopes, unless told otherwise. */
  ask(
    method: string,
    path: string,
    options?: { body?: unknown; token?: string; headers?: Record<string, string> },
  ): Promise<Response>;
  json<Answer = Record<string, unknown>>(path: string): Promise<Answer>;
}

/** The console on a database of its own, with actions that a test may replace. */
export async function testConsole(
  t: TestContext,
  changes: Partial<Omit<ConsoleOptions, "actions">> & { actions?: Partial<Actions> } = {},
): Promise<TestConsole> {
  const { database } = await testDatabase(t);
  const clock = testClock();
  const live = changes.live ?? createLive();
  const address = changes.address ?? (() => ({ host: "127.0.0.1", port: 4242 }));
  const app = createConsole({
    version: "0.0.0",
    database,
    live,
    hub: {
      map: async () => ({ text: "inbox/", tokens: 2 }),
      search: async () => ({ hits: [], tokens: 0 }),
      read: async (path) => {
        throw new DaimonError("hub.missing", `There is no ${path}.`, "daimon hub map");
      },
    },
    models: { list: () => [{ role: "light", provider: "demo", model: "demo", demo: true }] },
    config: {
      owner: { name: "Ada", zone: "Europe/Amsterdam" },
      models: {},
      limits: { run: { turns: 20, usd: 0.5, minutes: 15 }, dayUsd: 5, monthUsd: 50 },
    },
    clock,
    log: quiet,
    address,
    envFile: "home/.env",
    capabilities: () => ({ installed: [], refused: [] }),
    agents: () => [],
    hasSecret: () => false,
    buildBundle: async () => PAGES,
    ...changes,
    actions: { ...refuseAll, ...changes.actions },
  });
  let admin: string | undefined;
  const token = (scope: Scope) =>
    createToken(database, { name: `${scope}-${newId("tok").slice(-8)}`, scope, days: 90 }, clock.now());
  const ask: TestConsole["ask"] = async (method, path, options = {}) => {
    admin ??= await token("admin");
    return await app.request(`http://127.0.0.1:${address().port}${path}`, {
      method,
      headers: { authorization: `Bearer ${options.token ?? admin}`, ...options.headers },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  };
  return {
    database,
    live,
    clock,
    app,
    token,
    ask,
    json: async <Answer>(path: string) => (await (await ask("GET", path)).json()) as Answer,
  };
}

/** The console behind a real port. */
export async function testHttp(t: TestContext, changes: Parameters<typeof testConsole>[1] = {}) {
  let port = 0;
  const house = await testConsole(t, { address: () => ({ host: "127.0.0.1", port }), ...changes });
  const server = serve({ fetch: house.app.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${port}`;
  const token = await house.token("admin");
  return {
    ...house,
    server,
    url,
    /** Opens a stream and reads its events one by one. */
    async stream(path: string, body?: unknown, headers: Record<string, string> = { authorization: `Bearer ${token}` }) {
      const stop = new AbortController();
      t.after(() => stop.abort());
      const response = await fetch(url + path, {
        method: body === undefined ? "GET" : "POST",
        headers,
        signal: stop.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const events = readEvents(response);
      const next = async () => (await events.next()).value ?? null;
      return { response, next, close: () => stop.abort() };
    },
  };
}

async function* readEvents(response: Response): AsyncGenerator<{ event: string; data: Record<string, unknown> }, null> {
  let rest = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const found = /^event: (.*)\ndata: (.*)$/.exec(block);
      if (found) yield { event: found[1]!, data: JSON.parse(found[2]!) };
      else yield { event: block, data: {} };
    }
  }
  return null;
}

const refuse = () => Promise.reject(new DaimonError("action.invalid", "This test has no such action."));
const refuseAll: Actions = {
  replay: refuse,
  repair: refuse,
  retry: refuse,
  cancel: refuse,
  pause: refuse,
  fireSchedule: refuse,
  pauseSchedule: refuse,
  schedules: { preview: refuse as never, add: refuse, change: refuse, remove: refuse },
  answerApproval: refuse,
  closeIssue: refuse,
  chat: refuse,
  stop: refuse,
  sendSamples: refuse,
  doctor: refuse,
};

const page = (type: string, text: string, immutable: boolean): PageFile => ({
  type,
  body: new TextEncoder().encode(text),
  immutable,
});

const PAGES = new Map([
  ["/index.html", page("text/html; charset=utf-8", "<!doctype html>", false)],
  ["/assets/app-1.js", page("text/javascript; charset=utf-8", "go()", true)],
]);

/** Keeps an event, received `minutes` after the test clock's noon, and returns its id. */
export async function keepEvent(
  database: Database,
  event: {
    source?: string;
    type?: string;
    outcome?: string;
    data?: unknown;
    body?: Uint8Array;
    minutes?: number;
  } = {},
): Promise<string> {
  const time = new Date(Date.parse("2026-11-22T12:00:00Z") + (event.minutes ?? 0) * 60_000);
  const id = newId("evt", time.getTime());
  await database.query(
    `insert into events (id, source, type, key, received_at, time, data, outcome, integrity, privacy, method, url, headers, body)
     values ($1, $2, $3, $1, $4, $4, $5, $6, 'untrusted', 'public', $7, $8, $9, $10)`,
    [
      id,
      event.source ?? "github",
      event.type ?? "push",
      time,
      event.data === undefined ? null : JSON.stringify(event.data),
      event.outcome ?? "dispatched",
      event.body ? "POST" : null,
      event.body ? "/hooks/github" : null,
      event.body ? JSON.stringify({ "x-github-event": "push" }) : null,
      event.body ?? null,
    ],
  );
  return id;
}

/** Keeps a run of an event and returns its id. */
export async function keepRun(
  database: Database,
  eventId: string,
  run: { status?: string; handler?: string; result?: unknown; error?: unknown } = {},
): Promise<string> {
  const id = newId("run");
  await database.query(
    `insert into runs (id, event_id, handler, status, result, error, wake_at)
     values ($1, $2, $3, $4, $5, $6, case when $4 = 'waiting' then now() end)`,
    [
      id,
      eventId,
      run.handler ?? "trigger:github/note",
      run.status ?? "completed",
      JSON.stringify(run.result ?? null),
      run.error ? JSON.stringify(run.error) : null,
    ],
  );
  return id;
}

/** Keeps a completed step of a run. */
export async function keepStep(
  database: Database,
  runId: string,
  step: { key: string; kind?: string; detail?: unknown; usd?: number; at?: Date },
): Promise<void> {
  await database.query(
    `insert into steps (run_id, key, kind, status, attempt, detail, usd, started_at, finished_at)
     values ($1, $2, $3, 'completed', 1, $4, $5, $6, $6)`,
    [
      runId,
      step.key,
      step.kind ?? "code",
      JSON.stringify(step.detail ?? null),
      step.usd ?? 0,
      step.at ?? new Date("2026-11-22T12:00:00Z"),
    ],
  );
}
