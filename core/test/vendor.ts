import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Clock, systemClock } from "../base/clock.ts";
import { ROOT } from "../base/environment.ts";

/** One request as it came. */
export interface VendorRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** `POST /v1/events` */
  readonly route: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** What the vendor answers. `cut`: the connection is closed instead. */
export interface VendorAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly text?: string;
  readonly cut?: boolean;
}

/** A vendor's API, played on the loopback by a function of the request, which keeps what it was asked. */
async function playVendor(t: TestContext, answer: (request: VendorRequest) => VendorAnswer) {
  const requests: VendorRequest[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming.setEncoding("utf8")) body += chunk;
    const { method = "", url: path = "" } = incoming;
    const { pathname, searchParams: query } = new URL(path, "http://vendor");
    const headers = incoming.headers as VendorRequest["headers"];
    const request = { method, path, route: `${method} ${decodeURIComponent(pathname)}`, query, headers, body };
    requests.push(request);
    const { status = 200, headers: more = {}, json, text, cut } = answer(request);
    if (cut) return void incoming.socket.destroy();
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(text ?? (json === undefined ? "" : JSON.stringify(json)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** By the route, a whole one or the beginning of a path: `GET /v1/events`. `count` is how often it was asked before. */
export type VendorRoutes = Readonly<Record<string, (request: VendorRequest, count: number) => VendorAnswer>>;

export interface Vendor {
  readonly url: string;
  readonly requests: VendorRequest[];
  /** Those of one route. */
  asked(route: string): VendorRequest[];
}

/** A vendor's API, played on the loopback. What no route knows is a 404. */
export async function testVendor(t: TestContext, routes: VendorRoutes): Promise<Vendor> {
  const counts = new Map<string, number>();
  const { url, requests } = await playVendor(t, (request) => {
    const name = Object.keys(routes).find((known) => request.route.startsWith(known));
    if (!name) return { status: 404, json: { error: { message: `no ${request.route}` } } };
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return routes[name]!(request, count);
  });
  return { url, requests, asked: (route) => requests.filter((each) => each.route.startsWith(route)) };
}

/** Leads the addresses that stand as constants in a capability's code to others. */
export function readdress(folder: string, addresses: Readonly<Record<string, string>>): void {
  for (const file of globSync("**/*.ts", { cwd: folder })) {
    const text = readFileSync(join(folder, file), "utf8");
    const changed = Object.entries(addresses).reduce((sum, [from, to]) => sum.replaceAll(`"${from}`, `"${to}`), text);
    if (changed !== text) writeFileSync(join(folder, file), changed);
  }
}

/** A folder of capabilities with a copy of one of the catalog, which speaks to these addresses instead of its own. */
export function fromCatalog(t: TestContext, name: string, addresses: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "daimon-catalog-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(ROOT, "catalog", name), join(folder, name), { recursive: true });
  readdress(join(folder, name), addresses);
  return folder;
}

/** The machine's clock, which a test moves on. */
export function movedClock(): Clock & { advance(milliseconds: number): void } {
  let moved = 0;
  return {
    ...systemClock,
    now: () => new Date(Date.now() + moved),
    advance: (milliseconds) => {
      moved += milliseconds;
    },
  };
}
