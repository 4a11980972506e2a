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
  /** `POST /v1/events` */
  readonly route: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What the vendor answers. `cut`: the connection is closed instead. */
export interface VendorAnswer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  /** Instead of JSON. */
  readonly text?: string;
  readonly cut?: boolean;
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
  const requests: VendorRequest[] = [];
  const asked = (route: string) => requests.filter((each) => each.route.startsWith(route));
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const { pathname, searchParams } = new URL(request.url!, "http://vendor");
    const route = `${request.method} ${decodeURIComponent(pathname)}`;
    const name = Object.keys(routes).find((known) => route.startsWith(known));
    const one = { route, query: searchParams, headers: request.headers, body };
    const count = name ? asked(name).length : 0;
    requests.push(one);
    const missing: VendorAnswer = { status: 404, json: { error: { message: `no ${route}` } } };
    const { status = 200, headers, json, text = "", cut } = name ? routes[name]!(one, count) : missing;
    if (cut) return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(json === undefined ? text : JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, asked };
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
