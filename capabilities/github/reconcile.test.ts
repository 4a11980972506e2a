import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { testHouse } from "../../core/test/house.ts";
import { testVendor, type VendorAnswer, type VendorRequest } from "../../core/test/vendor.ts";
import { type Delivery, findLost } from "./reconcile.ts";

const HOUR = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR).toISOString();
// TypeScript does not know it yet. https://tc39.es/proposal-json-parse-with-source/
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };
/** As GitHub lists it; ids are greater than a number of JavaScript holds. */
const delivery = (id: string, guid: string, hours: number, status_code = 200) => ({
  ...{
    id: rawJSON(id),
    guid,
    delivered_at: ago(hours),
    redelivery: false,
    duration: 0.27,
    status: "OK",
    status_code,
  },
  ...{ event: "issues", action: "opened", installation_id: null, repository_id: 1, throttled_at: null },
});
const SET_UP = { GITHUB_TOKEN: "a token of GitHub", GITHUB_HOOKS: "octo/repo:7" };

/** A run of the schedule beside a server that plays GitHub. */
async function reconcile(
  t: TestContext,
  answer: (request: VendorRequest) => VendorAnswer,
  values: Record<string, string> = SET_UP,
) {
  const github = await testVendor(t, { GET: answer, POST: answer });
  const { house, until } = await testHouse(t, { values: { ...values, GITHUB_API_URL: `${github.url}/api/v3/` } });
  const { runIds } = await house.schedules.fire("github/reconcile");
  return {
    run: await until(runIds[0]!, /completed|failed|waiting/),
    requests: github.requests,
    until,
    url: github.url,
  };
}

test("without a token and hooks it says so and does nothing, without failing", async (t) => {
  const { run, requests } = await reconcile(t, () => ({ status: 500 }), {});
  assert.equal(run.status, "completed");
  assert.deepEqual(run.result, {
    state: "not set up",
    next: "Write GITHUB_TOKEN and GITHUB_HOOKS into the .env that `daimon doctor` names: see the README of github.",
  });
  assert.equal(requests.length, 0);
});

test("what never arrived in three days is asked for again, and nothing else", async (t) => {
  const pages = [
    [delivery("3804004623172239366", "lost", 2, 502), delivery("13", "found again", 3), delivery("12", "came", 4)],
    [delivery("11", "found again", 5, 0), delivery("10", "gone", 80, 502)],
    [delivery("9", "never looked at", 100, 502)],
  ];
  const { run, requests } = await reconcile(t, ({ route, query, headers }) => {
    if (route.startsWith("POST")) return { status: 202, json: {} };
    const page = Number(query.get("cursor") ?? 0);
    const next = `http://${headers.host}/api/v3/repos/octo/repo/hooks/7/deliveries?per_page=100&cursor=${page + 1}`;
    return { json: pages[page]!, headers: { link: `<${next}>; rel="next"` } };
  });
  assert.equal(run.status, "completed", JSON.stringify(run.error));
  assert.deepEqual(
    requests.map(({ route, query }) => `${route}${query.size > 0 ? `?${query}` : ""}`),
    [
      "GET /api/v3/repos/octo/repo/hooks/7/deliveries?per_page=100",
      "GET /api/v3/repos/octo/repo/hooks/7/deliveries?per_page=100&cursor=1",
      "POST /api/v3/repos/octo/repo/hooks/7/deliveries/3804004623172239366/attempts",
      "POST /api/v3/repos/octo/repo/hooks/7/deliveries/10/attempts",
    ],
  );
  for (const { headers } of requests) assert.equal(headers.authorization, "Bearer a token of GitHub");
  const { hooks } = run.result as { hooks: object[] };
  assert.deepEqual(hooks, [{ hook: "octo/repo:7", deliveries: 5, redelivered: 2, waiting: 0, givenUp: 0 }]);
});

test("hooks of organizations, several of them; an address that is none is named", async (t) => {
  const set = { ...SET_UP, GITHUB_HOOKS: "octo:1, octo/repo:2" };
  const { run, requests } = await reconcile(t, () => ({ json: [] }), set);
  assert.equal(run.status, "completed");
  assert.deepEqual(
    requests.map(({ route }) => route),
    ["GET /api/v3/orgs/octo/hooks/1/deliveries", "GET /api/v3/repos/octo/repo/hooks/2/deliveries"],
  );
  const wrong = await reconcile(t, () => ({ json: [] }), { ...SET_UP, GITHUB_HOOKS: "../../user:1" });
  assert.deepEqual([wrong.run.status, wrong.run.error?.code], ["failed", "github-hooks.wrong"]);
  assert.equal(wrong.requests.length, 0);
});

test("a limit of GitHub's is slept through, and the run goes on where it was", async (t) => {
  const limits: VendorAnswer[] = [
    { status: 403, headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0" }, json: { message: "limit" } },
    { status: 429, headers: { "retry-after": "1" }, json: { message: "secondary limit" } },
  ];
  const { run, requests, until } = await reconcile(t, () => limits.shift() ?? { json: [] });
  assert.equal(run.status, "waiting");
  const done = await until(run.id);
  assert.equal(done.status, "completed", JSON.stringify(done.error));
  assert.equal(requests.length, 3);
  assert.deepEqual(
    done.steps.map(({ key }) => key),
    [
      "list octo/repo:7, page 1",
      "GitHub's limit",
      "list octo/repo:7, page 1#2",
      "GitHub's limit#2",
      "list octo/repo:7, page 1#3",
    ],
  );
});

test("what no further try mends fails with a sentence, what passes is tried again", async (t) => {
  for (const [status, code, state] of [
    [401, "github-token.wrong", "failed"],
    [403, "github.denied", "failed"],
    [404, "github.missing", "failed"],
    [502, "github.failed", "waiting"],
  ] as const) {
    const { run } = await reconcile(t, () => ({ status, json: { message: "Bad credentials" } }));
    assert.deepEqual([run.status, run.error?.code], [state, code]);
    assert.match(run.error!.message, new RegExp(`GitHub answers ${status}: Bad credentials`));
  }
});

test("the token goes to no other address, whatever GitHub's page says", async (t) => {
  const other = await testVendor(t, { GET: () => ({ json: [] }) });
  const { run } = await reconcile(t, () => ({
    json: [delivery("1", "a", 1)],
    headers: { link: `<${other.url}/api/v3/next>; rel="next"` },
  }));
  assert.equal(run.error?.code, "github.invalid");
  assert.equal(other.requests.length, 0);
});

test("a delivery is asked for at once, then less and less often, then given up", () => {
  const now = new Date();
  const tries = (...hours: number[]): Delivery[] =>
    hours.map((hour, place) => ({ id: `${place}`, guid: "g", delivered_at: ago(hour), status_code: 502 }));
  const of = (...hours: number[]) => {
    const { due, waiting, givenUp } = findLost(tries(...hours), now);
    return { due: due.map(({ id }) => id), waiting, givenUp };
  };
  assert.deepEqual(of(1), { due: ["0"], waiting: 0, givenUp: 0 });
  assert.deepEqual(of(0.5, 2), { due: [], waiting: 1, givenUp: 0 });
  assert.deepEqual(of(1.1, 2), { due: ["0"], waiting: 0, givenUp: 0 }, "the newest try is repeated");
  assert.deepEqual(of(25, 30, 40, 42, 44), { due: ["0"], waiting: 0, givenUp: 0 });
  assert.deepEqual(of(30, 35, 40, 50, 60, 70), { due: [], waiting: 0, givenUp: 1 });
  assert.deepEqual(findLost([...tries(1), { ...tries(3)[0]!, status_code: 202 }], now).due, []);
});
