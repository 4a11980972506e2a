import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { ROOT } from "../base/environment.ts";
import { connect } from "../store/database.ts";
import { ORIGIN, testConsole } from "../test/console.ts";

const EVENT = "evt_01kapv000000000000000000000";
/** Every route, with what would be let in. */
const ROUTES: readonly (readonly [string, string])[] = [
  ["DELETE", "/api/session"],
  ["POST", "/api/logins"],
  ["GET", "/api/tokens"],
  ["POST", "/api/tokens"],
  ["DELETE", "/api/tokens/phone"],
  ["GET", "/api/status"],
  ["GET", "/api/events"],
  ["GET", `/api/events/${EVENT}`],
  ["POST", `/api/events/${EVENT}/replays`],
  ["GET", "/api/runs"],
  ["GET", "/api/runs/run_1"],
  ["POST", "/api/runs/run_1/retries"],
  ["DELETE", "/api/runs/run_1"],
  ["POST", "/api/replays"],
  ["POST", "/api/retries"],
  ["GET", "/api/triggers"],
  ["PATCH", "/api/triggers/a%2Fb"],
  ["PATCH", "/api/sources/a%2Fb"],
  ["GET", "/api/issues"],
  ["GET", "/api/issues/iss_1"],
  ["PATCH", "/api/issues/iss_1"],
  ["GET", "/api/schedules"],
  ["GET", "/api/schedules/a%2Fb"],
  ["GET", "/api/schedules/a%2Fb/ticks"],
  ["POST", "/api/schedules"],
  ["POST", "/api/schedules/previews"],
  ["DELETE", "/api/schedules/a%2Fb"],
  ["POST", "/api/schedules/a%2Fb/runs"],
  ["PATCH", "/api/schedules/a%2Fb"],
  ["GET", "/api/approvals"],
  ["GET", "/api/approvals/apr_1"],
  ["POST", "/api/approvals/apr_1/answers"],
  ["GET", "/api/costs"],
  ["GET", "/api/conversations"],
  ["GET", "/api/conversations/cnv_1/messages"],
  ["POST", "/api/chat"],
  ["GET", "/api/live"],
  ["GET", "/api/hub/map"],
  ["GET", "/api/hub/search?q=a"],
  ["GET", "/api/hub/file?path=a.md"],
  ["GET", "/api/capabilities"],
  ["GET", "/api/agents"],
  ["GET", "/api/samples"],
  ["POST", "/api/samples"],
  ["GET", "/api/refusals"],
  ["GET", "/api/doctor"],
  ["PUT", "/api/stop"],
];

test("no route answers who has not signed in, comes by another name, or from another site", async (t) => {
  const house = await testConsole(t);
  const read = await house.token("read");
  const status = async (method: string, path: string, headers: Record<string, string>, origin = ORIGIN) =>
    (await house.app.request(origin + path, { method, headers })).status;
  for (const [method, path] of ROUTES) {
    const authorization = `Bearer ${read}`;
    const what = `${method} ${path}`;
    assert.equal(await status(method, path, {}), 401, what);
    assert.equal(
      await status(method, path, { authorization: "Bearer dmn_wrong", origin: "http://evil.test" }),
      403,
      what,
    );
    assert.equal(await status(method, path, { authorization, "sec-fetch-site": "cross-site" }), 403, what);
    assert.equal(await status(method, path, { authorization, origin: ORIGIN }), 403, what);
    assert.equal(await status(method, path, { authorization, host: "evil.test" }), 421, what);
    assert.equal(await status(method, path, { authorization }, "http://127.0.0.1:4243"), 421, what);
    if (method !== "GET") assert.equal(await status(method, path, { authorization }), 403, what);
  }
});

test("writing is not enough for logins and tokens", async (t) => {
  const house = await testConsole(t);
  const token = await house.token("write");
  assert.equal((await house.ask("GET", "/api/tokens", { token })).status, 403);
  assert.equal((await house.ask("POST", "/api/tokens", { token, body: { name: "a", scope: "admin" } })).status, 403);
  assert.equal((await house.ask("DELETE", "/api/tokens/a", { token })).status, 403);
  assert.equal((await house.ask("POST", "/api/logins", { token })).status, 403);
});

test("the routes that there are, those of the reference and those tested here are the same", async (t) => {
  const { app } = await testConsole(t);
  const bare = (method: string, path: string) => `${method} ${path.replace(/\/(:\w+|\w+_\w+|a%2Fb|phone)/, "/*")}`;
  const there = app.routes.flatMap(({ method, path }) =>
    method !== "ALL" && path.startsWith("/api/") ? [bare(method, path)] : [],
  );
  const reference = readFileSync(join(ROOT, "docs/reference/api.md"), "utf8");
  const told = [...reference.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/api\/[\w/:-]+)/g)].map(([, method, path]) =>
    bare(method!, path!),
  );
  const tested = [...ROUTES.map(([method, path]) => bare(method, path.split("?")[0]!)), "POST /api/session"];
  assert.deepEqual(there.toSorted(), told.toSorted());
  assert.deepEqual(there.toSorted(), tested.toSorted());
});

test("every name that this machine is called by is let in, with the port it listens on", async (t) => {
  const house = await testConsole(t, { address: () => ({ host: "192.168.1.5", port: 80 }) });
  const status = async (host: string) => (await house.app.request(`http://${host}/api/runs`)).status;
  for (const host of ["localhost", "127.0.0.1", "[::1]", "192.168.1.5", "LOCALHOST"])
    assert.equal(await status(host), 401, host);
  for (const host of ["localhost:4242", "192.168.1.6", "localhost.evil.test"])
    assert.equal(await status(host), 421, host);
});

test("every answer carries the headers that keep scripts, frames and sniffers out", async (t) => {
  const house = await testConsole(t);
  for (const path of ["/", "/assets/app-1.js", "/assets/none.js", "/api/status", "/api/none", "/hooks/none"]) {
    for (const response of [await house.ask("GET", path), await house.app.request(`http://evil.test${path}`)]) {
      const csp = response.headers.get("content-security-policy")!;
      assert.match(csp, /^default-src 'none'; script-src 'self';.*trusted-types 'none'$/);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("referrer-policy"), "no-referrer");
      assert.equal(response.headers.get("cross-origin-opener-policy"), "same-origin");
      assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
      if (path.startsWith("/api")) assert.equal(response.headers.get("cache-control"), "no-store");
    }
  }
});

test("pages: every path is the one page, assets are kept for ever, other doors are not pages", async (t) => {
  const house = await testConsole(t);
  const get = (path: string, headers: Record<string, string> = {}) => house.app.request(ORIGIN + path, { headers });
  for (const path of ["/", "/login", "/events/evt_1", "/apiary"]) {
    const response = await get(path, { "sec-fetch-site": "cross-site" });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "<!doctype html>");
    assert.equal(response.headers.get("cache-control"), "no-cache");
  }
  const first = await get("/assets/app-1.js", { "accept-encoding": "gzip, br" });
  assert.equal(first.headers.get("content-encoding"), null, "it is not compressed yet");
  assert.equal(await first.text(), "go()");
  let asset = first;
  while (!asset.headers.has("content-encoding")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    asset = await get("/assets/app-1.js", { "accept-encoding": "gzip, br" });
  }
  assert.equal(asset.headers.get("content-encoding"), "br");
  assert.equal(asset.headers.get("vary"), "Accept-Encoding");
  assert.equal(brotliDecompressSync(Buffer.from(await asset.arrayBuffer())).toString(), "go()");
  assert.equal((await get("/assets/app-1.js")).headers.get("content-encoding"), null);
  assert.equal(asset.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.match(asset.headers.get("cache-control")!, /immutable/);
  const page = await get("/");
  const again = await get("/", { "if-none-match": page.headers.get("etag")! });
  assert.equal(again.status, 304);
  for (const path of ["/assets/none.js", "/hooks/none", "/healthz", "/mcp"])
    assert.equal((await get(path)).status, 404, path);
  assert.equal(
    (await house.app.request(`${ORIGIN}/login`, { method: "POST", headers: { origin: ORIGIN } })).status,
    404,
  );
});

test("pages that cannot be made are told as such, and made at a later request", async (t) => {
  let tries = 0;
  const page = { type: "text/html", body: new TextEncoder().encode("hi"), immutable: false };
  const house = await testConsole(t, {
    buildBundle: async () => {
      if (++tries < 2) throw new Error("no esbuild here");
      return new Map([["/index.html", page]]);
    },
  });
  const failed = await house.app.request(`${ORIGIN}/`);
  assert.equal(failed.status, 500);
  assert.ok(!(await failed.text()).includes("esbuild"));
  assert.equal(await (await house.app.request(`${ORIGIN}/`)).text(), "hi");
});

test("what cannot be read is refused with the name of the field", async (t) => {
  const house = await testConsole(t);
  const refused = async (method: string, path: string, body?: unknown) => {
    const response = await house.ask(method, path, { body });
    const { error } = (await response.json()) as { error: { code: string; message: string; next: string } };
    assert.ok(error.next, `${method} ${path} does not say what to do next`);
    return `${response.status} ${error.code} ${error.message}`;
  };
  assert.match(await refused("GET", "/api/events?limit=201"), /^400 request\.invalid "limit": /);
  assert.match(await refused("GET", "/api/events?limit=x"), /^400 request\.invalid "limit": /);
  assert.match(await refused("GET", "/api/events?outcome=lost"), /^400 request\.invalid "outcome": /);
  assert.match(await refused("GET", "/api/events?q=%00"), /^400 request\.invalid "q": must not contain NUL/);
  assert.match(await refused("GET", "/api/costs?since=soon"), /^400 request\.invalid "since": /);
  assert.match(await refused("PUT", "/api/stop", { stopped: "yes" }), /^400 request\.invalid "stopped": /);
  assert.match(await refused("POST", "/api/chat", { text: "  " }), /^400 request\.invalid "text": must not be empty/);
  assert.match(await refused("PUT", "/api/stop", []), /^400 request\.invalid The body: /);
  assert.match(await refused("GET", "/api/hub/file?path=none.md"), /^404 hub\.missing There is no none\.md/);
  assert.match(await refused("POST", "/api/chat", { text: "a".repeat(1024 * 1024) }), /^413 request\.large /);
  const broken = await house.app.request(`${ORIGIN}/api/session`, { method: "POST", body: "{" });
  assert.equal(broken.status, 400);
  assert.equal(await refused("GET", "/api/nothing"), "404 route.missing Nothing answers GET at /api/nothing.");
  assert.equal(await refused("PUT", "/api/events"), "404 route.missing Nothing answers PUT at /api/events.");
  assert.match(await refused("GET", "/api/runs/x"), /^404 run\.missing There is no run "x"\./);
  assert.match(await refused("GET", "/api/runs?cursor=x"), /^400 request\.invalid "cursor": is not the `next` of/);
  assert.match(await refused("GET", "/api/schedules/%00"), /^400 request\.invalid NUL stands in no name\./);
  const sample = { source: "github", type: "a\nb" };
  assert.match(await refused("POST", "/api/samples", sample), /^400 request\.invalid "type": must be of ASCII/);
});

test("a database that is down is 503 with when to come back, and a bug tells nothing of itself", async (t) => {
  const database = connect({ host: "/nowhere", user: "nobody" });
  t.after(() => database.close());
  const down = await testConsole(t, { database });
  const late = await down.app.request(`${ORIGIN}/api/runs`, { headers: { authorization: "Bearer dmn_1" } });
  assert.equal(late.status, 503);
  assert.equal(late.headers.get("retry-after"), "5");
  const bug = await testConsole(t, { actions: { doctor: () => Promise.reject(new Error("secret inside")) } });
  const response = await bug.ask("GET", "/api/doctor");
  assert.equal(response.status, 500);
  assert.ok(!(await response.text()).includes("secret"));
});
