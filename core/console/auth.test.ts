import assert from "node:assert/strict";
import { test } from "node:test";
import { hasLogin } from "../store/logins.ts";
import { ORIGIN, type TestConsole, testConsole } from "../test/console.ts";
import { createLoginLink } from "./auth.ts";

const codeOf = async ({ database, clock }: TestConsole) =>
  new URL(await createLoginLink(database, ORIGIN, clock.now())).hash.slice("#c=".length);

const signIn = ({ app }: TestConsole, code: string, base = ORIGIN) =>
  app.request(`${base}/api/session`, {
    method: "POST",
    headers: { origin: base },
    body: JSON.stringify({ code }),
  });

const cookieOf = (response: Response) => response.headers.get("set-cookie")!.split(";")[0]!;

const errorOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

test("a login link signs in once, with a cookie that no script reads and no other site sends", async (t) => {
  const house = await testConsole(t);
  const link = await createLoginLink(house.database, `${ORIGIN}/`, house.clock.now());
  assert.match(link, /^http:\/\/127\.0\.0\.1:4242\/login#c=[\w-]{32}$/);
  const code = new URL(link).hash.slice("#c=".length);

  const response = await signIn(house, code);
  assert.equal(response.status, 204);
  const cookie = response.headers.get("set-cookie")!;
  for (const part of ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"])
    assert.ok(cookie.includes(part), part);
  assert.ok(!cookie.includes("Secure"));

  const status = await house.app.request(`${ORIGIN}/api/status`, { headers: { cookie: cookieOf(response) } });
  assert.equal(status.status, 200);

  const again = await signIn(house, code);
  assert.equal(again.status, 401);
  assert.equal(await errorOf(again), "auth.wrong");
});

test("of two who use one link at the same time, one is let in", async (t) => {
  const house = await testConsole(t);
  const code = await codeOf(house);
  const responses = await Promise.all(Array.from({ length: 8 }, () => signIn(house, code)));
  assert.deepEqual(responses.map((each) => each.status).sort(), [204, 401, 401, 401, 401, 401, 401, 401]);
});

test("a link is over after ten minutes, and only hashes are kept", async (t) => {
  const house = await testConsole(t);
  const code = await codeOf(house);
  const rows = await house.database.query<{ hash: string }>("select hash from logins where kind = 'code'");
  assert.equal(rows.length, 1);
  assert.match(rows[0]!.hash, /^[0-9a-f]{64}$/);
  house.clock.advance(10 * 60_000);
  assert.equal((await signIn(house, code)).status, 401);
});

test("a session lasts 30 days from its last use, and signing out ends it", async (t) => {
  const house = await testConsole(t);
  const cookie = cookieOf(await signIn(house, await codeOf(house)));
  const look = () => house.app.request(`${ORIGIN}/api/runs`, { headers: { cookie } });
  const DAY = 86_400_000;
  house.clock.advance(29 * DAY);
  const rolled = await look();
  assert.equal(rolled.status, 200);
  assert.equal(cookieOf(rolled), cookie);
  house.clock.advance(29 * DAY);
  assert.equal((await look()).status, 200);
  assert.equal((await look()).headers.get("set-cookie"), null);
  house.clock.advance(31 * DAY);
  assert.equal((await look()).status, 401);

  const other = cookieOf(await signIn(house, await codeOf(house)));
  const out = await house.app.request(`${ORIGIN}/api/session`, {
    method: "DELETE",
    headers: { cookie: other, origin: ORIGIN },
  });
  assert.equal(out.status, 204);
  assert.equal((await house.app.request(`${ORIGIN}/api/runs`, { headers: { cookie: other } })).status, 401);
});

test("who has signed in within a year counts as enrolled, signed out or not; a token does not", async (t) => {
  const house = await testConsole(t);
  await house.token("admin");
  const code = await codeOf(house);
  assert.equal(await hasLogin(house.database, house.clock.now()), false);
  const cookie = cookieOf(await signIn(house, code));
  await house.app.request(`${ORIGIN}/api/session`, { method: "DELETE", headers: { cookie, origin: ORIGIN } });
  house.clock.advance(364 * 86_400_000);
  await codeOf(house);
  assert.equal(await hasLogin(house.database, house.clock.now()), true);
  house.clock.advance(2 * 86_400_000);
  assert.equal(await hasLogin(house.database, house.clock.now()), false);
  await codeOf(house);
  const rows = await house.database.query<{ kind: string }>("select kind from logins");
  assert.deepEqual(
    rows.map((row) => row.kind),
    ["code"],
  );
});

test("two Daimons on one machine do not sign each other out", async (t) => {
  const names = await Promise.all(
    [4242, 4243].map(async (port) => {
      const house = await testConsole(t, { address: () => ({ host: "127.0.0.1", port }) });
      const response = await house.app.request(`http://localhost:${port}/api/session`, {
        method: "POST",
        headers: { origin: `http://localhost:${port}` },
        body: JSON.stringify({ code: await codeOf(house) }),
      });
      return response.headers.get("set-cookie")!.split("=")[0];
    }),
  );
  assert.equal(new Set(names).size, 2, "a browser sends a host's cookies to each of its ports");
});

test("behind https the cookie is secure, bound to the host, and links carry the public address", async (t) => {
  const publicUrl = "https://daimon.example";
  const config = {
    owner: { name: "Ada" },
    models: {},
    limits: { run: { turns: 1, usd: 1, minutes: 1 }, dayUsd: 5, monthUsd: 50 },
    publicUrl,
  };
  const house = await testConsole(t, { config });
  // What a proxy sends on: plain http, the outer host.
  const response = await house.app.request("http://daimon.example/api/session", {
    method: "POST",
    headers: { origin: publicUrl },
    body: JSON.stringify({ code: await codeOf(house) }),
  });
  assert.equal(response.status, 204);
  assert.match(response.headers.get("set-cookie")!, /^__Host-daimon=.*; Secure/);
  const { url } = (await (await house.ask("POST", "/api/logins")).json()) as { url: string };
  assert.match(url, /^https:\/\/daimon\.example\/login#c=/);
});

test("a cookie changes nothing without our own origin", async (t) => {
  const house = await testConsole(t, { actions: { stop: async () => {} } });
  const cookie = cookieOf(await signIn(house, await codeOf(house)));
  const stop = (headers: Record<string, string>) =>
    house.app.request(`${ORIGIN}/api/stop`, {
      method: "PUT",
      headers: { cookie, ...headers },
      body: JSON.stringify({ stopped: true }),
    });
  assert.equal((await stop({ origin: ORIGIN })).status, 200);
  assert.equal((await stop({ origin: ORIGIN, "sec-fetch-site": "same-origin" })).status, 200);
  assert.equal((await stop({})).status, 403);
  assert.equal((await stop({ origin: "null" })).status, 403);
  assert.equal((await stop({ origin: "http://localhost:4242" })).status, 403);
  assert.equal((await stop({ origin: "http://127.0.0.1:4242.evil.test" })).status, 403);
  assert.equal((await stop({ origin: ORIGIN, "sec-fetch-site": "same-site" })).status, 403);
});

test("a token is shown once, listed without its value, refused from a browser, and gone when removed", async (t) => {
  const house = await testConsole(t);
  const made = await house.ask("POST", "/api/tokens", { body: { name: "phone", scope: "read" } });
  assert.equal(made.status, 201);
  const { token } = (await made.json()) as { token: string };
  assert.match(token, /^dmn_[\w-]{43}$/);

  const { items } = await house.json<{
    items: { name: string; scopes: string[]; seenAt: string; expiresAt: string }[];
  }>("/api/tokens");
  const phone = items.find((item) => item.name === "phone")!;
  assert.deepEqual(phone.scopes, ["read"]);
  assert.equal(phone.expiresAt, "2027-02-20T12:00:00.000Z");
  assert.ok(!JSON.stringify(items).includes(token));

  assert.equal((await house.ask("GET", "/api/runs", { token })).status, 200);
  assert.equal((await house.ask("GET", "/api/runs", { token, headers: { origin: ORIGIN } })).status, 403);
  assert.equal((await house.ask("GET", "/api/tokens", { token })).status, 403);

  const twice = await house.ask("POST", "/api/tokens", { body: { name: "phone", scope: "read" } });
  assert.equal(twice.status, 409);
  assert.equal((await house.ask("DELETE", "/api/tokens/phone")).status, 204);
  assert.equal((await house.ask("DELETE", "/api/tokens/phone")).status, 404);
  assert.equal((await house.ask("GET", "/api/runs", { token })).status, 401);
});

test("a token is over when its days are", async (t) => {
  const house = await testConsole(t);
  const made = await house.ask("POST", "/api/tokens", { body: { name: "guest", scope: "write", days: 2 } });
  const { token } = (await made.json()) as { token: string };
  house.clock.advance(2 * 86_400_000);
  assert.equal((await house.ask("GET", "/api/runs", { token })).status, 401);
});

test("the 31st wrong login in a minute is told to wait, a right one never is", async (t) => {
  const house = await testConsole(t);
  const wrong = (place: number) =>
    place % 2 ? house.ask("GET", "/api/runs", { token: `dmn_${place}` }) : signIn(house, `wrong-${place}`);
  for (let place = 0; place < 30; place++) assert.equal((await wrong(place)).status, 401);
  house.clock.advance(20_000);
  for (const place of [30, 31]) {
    const late = await wrong(place);
    assert.equal(late.status, 429);
    assert.equal(late.headers.get("retry-after"), "40");
    assert.equal(await errorOf(late), "auth.often");
  }
  assert.equal((await house.ask("GET", "/api/runs")).status, 200);
  assert.equal((await signIn(house, await codeOf(house))).status, 204);
  house.clock.advance(40_000);
  assert.equal((await wrong(32)).status, 401);
});
