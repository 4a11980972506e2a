import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ROOT } from "../base/environment.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Written to stdin, which is then closed. `open`: a stdin that stays open and silent. Default: none. */
  readonly input?: string | "open";
  readonly environment?: Readonly<Record<string, string>>;
  /** What is done, in turn, once stdout or stderr has said the words. */
  readonly react?: readonly (readonly [words: string, act: (child: ChildProcess) => unknown])[];
  /** The script. Default: the launcher. */
  readonly script?: string;
}

export interface Cli {
  readonly home: string;
  /** Does this after the test, before the home is removed. */
  beforeRemoval(end: () => Promise<void>): void;
  /** Runs `daimon <words>` as a process of its own, in an environment that holds nothing but what stands here. */
  run(words: readonly string[], options?: RunOptions): Promise<Outcome>;
}

/** Presses Ctrl-C, as a reaction. */
export const interrupt = (child: ChildProcess): boolean => child.kill("SIGINT");

/** A command line with an empty home of its own, removed after the test. */
export function testCli(t: TestContext): Cli {
  const folder = mkdtempSync(join(tmpdir(), "daimon cli "));
  const home = join(folder, "home");
  mkdirSync(home, { mode: 0o700 });
  const ends: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const end of ends) await end();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    home,
    beforeRemoval: (end) => void ends.push(end),
    run: (words, options = {}) => run(words, { ...options, folder, home }),
  };
}

function run(words: readonly string[], options: RunOptions & { folder: string; home: string }): Promise<Outcome> {
  const child = spawn(process.execPath, [options.script ?? join(ROOT, "bin/daimon.js"), ...words], {
    cwd: options.folder,
    env: { PATH: process.env.PATH, HOME: options.folder, DAIMON_HOME: options.home, ...options.environment },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  if (options.input !== undefined && options.input !== "open") child.stdin!.end(options.input);
  const said = { stdout: "", stderr: "" };
  const reactions = [...(options.react ?? [])];
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      while (reactions[0] && said[name].includes(reactions[0][0])) reactions.shift()![1](child);
    });
  }
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ code, ...said }));
  });
}

export interface ApiRequest {
  readonly route: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly token: string | undefined;
}

type Route = Readonly<Record<string, unknown>> | ((request: ApiRequest, response: ServerResponse) => unknown);

const ALWAYS: Readonly<Record<string, Route>> = {
  "GET /api/status": { owner: { name: "Ada", zone: "Europe/Amsterdam" } },
};

/**
 * A stand-in for the API, written into the home's `server.json`. `routes` gives by `"GET /api/runs"` what is
 * answered (with the status `httpStatus`), or a function of the request.
 */
export async function testApi(t: TestContext, home: string, routes: Readonly<Record<string, Route>>) {
  const requests: ApiRequest[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, "http://localhost");
    const body = await bodyOf(request);
    const route = `${request.method} ${url.pathname}`;
    const token = request.headers.authorization?.replace("Bearer ", "");
    const asked: ApiRequest = { route, query: url.searchParams, body, token };
    requests.push(asked);
    const known = { ...ALWAYS, ...routes }[route];
    if (typeof known === "function") return known(asked, response);
    const missing = { httpStatus: 404, error: { code: "test.missing", message: `There is no ${route}.` } };
    const { httpStatus = 200, ...answer } = (known ?? missing) as { httpStatus?: number };
    response.writeHead(httpStatus, { "content-type": "application/json" });
    response.end(httpStatus === 204 ? "" : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = { url, pid: process.pid, token: "the token", startedAt: new Date().toISOString() };
  writeFileSync(join(home, "server.json"), JSON.stringify(file), { mode: 0o600 });
  return { url, requests };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : undefined;
}

/** Answers with server-sent events, and ends the answer unless told to hold it. */
export function answerEvents(response: ServerResponse, events: readonly [string, unknown][], hold = false): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": open\n\n");
  for (const [event, data] of events) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  if (!hold) response.end();
}
