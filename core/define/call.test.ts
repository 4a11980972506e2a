import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { isPermanent } from "../runs/rules.ts";
import { testVendor, type VendorAnswer } from "../test/vendor.ts";
import { type ApiCall, callApi } from "./call.ts";

/** Calls an API that answers so. */
async function called(t: TestContext, answer: VendorAnswer, more: Partial<ApiCall> = {}) {
  const vendor = await testVendor(t, { GET: () => answer, POST: () => answer, PUT: () => answer });
  const call = {
    api: "shop",
    url: `${vendor.url}/orders`,
    signal: t.signal,
    next: "SHOP_TOKEN must be valid.",
    ...more,
  };
  const outcome = await callApi(call).then(
    (value) => ({ value }),
    (error) => error as Error & { code: string; next: string; retryAfter?: number },
  );
  return { outcome, request: vendor.requests[0]!, asked: vendor.requests.length };
}

const failed = async (t: TestContext, answer: VendorAnswer, more: Partial<ApiCall> = {}) => {
  const { outcome, asked } = await called(t, answer, more);
  assert.ok(outcome instanceof Error);
  assert.deepEqual([outcome.next, asked], ["SHOP_TOKEN must be valid.", 1]);
  return outcome;
};

test("it asks for JSON, sends JSON or a form, and takes an empty answer for null", async (t) => {
  const asked = await called(t, { json: { id: 7 } }, { headers: { authorization: "Bearer x" } });
  assert.deepEqual(asked.outcome, { value: { id: 7 } });
  assert.equal(asked.request.route, "GET /orders");
  assert.deepEqual(
    [asked.request.headers.accept, asked.request.headers.authorization],
    ["application/json", "Bearer x"],
  );
  const sent = await called(t, { status: 204 }, { body: { id: 8 } });
  assert.deepEqual(
    [sent.outcome, sent.request.route, sent.request.body],
    [{ value: null }, "POST /orders", '{"id":8}'],
  );
  assert.equal(sent.request.headers["content-type"], "application/json");
  const form = await called(t, {}, { method: "PUT", body: new URLSearchParams({ a: "1 2" }) });
  assert.deepEqual([form.request.route, form.request.body], ["PUT /orders", "a=1+2"]);
  assert.match(String(form.request.headers["content-type"]), /^application\/x-www-form-urlencoded/);
});

test("what passes is told apart from what is for good, and a Retry-After is handed on", async (t) => {
  const busy = await failed(t, { status: 429, headers: { "retry-after": "90" }, json: { error: "slow down" } });
  assert.deepEqual([busy.code, busy.retryAfter], ["shop.busy", 90]);
  assert.equal(busy.message, 'shop answered 429: {"error":"slow down"}');
  const codes: Record<string, string> = {};
  const answers: VendorAnswer[] = [400, 401, 403, 404, 410, 500, 503].map((status) => ({ status }));
  for (const answer of [...answers, { status: 302, headers: { location: "/else" } }, { cut: true }]) {
    const { code, message } = await failed(t, answer);
    codes[answer.status ?? "cut"] = `${code}${isPermanent({ code, message }) ? "" : " again"}`;
  }
  assert.deepEqual(codes, {
    ...{
      302: "shop.unreachable again",
      400: "shop.invalid",
      401: "shop.denied",
      403: "shop.denied",
      404: "shop.missing",
    },
    ...{ 410: "shop.missing", 500: "shop.busy again", 503: "shop.busy again", cut: "shop.unreachable again" },
  });
});

test("what must not be done twice is unknown where it may have been done", async (t) => {
  const codes: string[] = [];
  for (const answer of [{ cut: true }, { status: 500 }, { status: 503 }, { status: 429 }, { status: 400 }])
    codes.push((await failed(t, answer, { body: {}, once: true })).code);
  assert.deepEqual(codes, ["shop.unknown", "shop.unknown", "shop.busy", "shop.busy", "shop.invalid"]);

  const { code, message } = await failed(t, { text: "<html>" });
  assert.deepEqual([code, message], ["shop.unreachable", "shop answered 200: <html> (that is no JSON)"]);
  const done = await called(t, { text: "<html>" }, { body: {}, once: true });
  assert.deepEqual(done.outcome, { value: null });
});

test("a canceled call is canceled, and no failure of the API's", async (t) => {
  const reason = new Error("The run is canceled.");
  const { outcome } = await called(t, {}, { signal: AbortSignal.abort(reason) }).catch((error) => ({ outcome: error }));
  assert.equal(outcome, reason);
});
