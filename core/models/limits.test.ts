import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, failure, scriptedModels } from "../test/calls.ts";
import { testConfig } from "../test/models.ts";

for (const [scope, limits, more] of [
  ["run", { run: { turns: 20, usd: 0.1, minutes: 15 } }, {}],
  ["run", {}, { limits: { usd: 0.1 } }],
  ["day", { dayUsd: 0.1 }, {}],
  ["month", { monthUsd: 0.1 }, {}],
] as const) {
  test(`forty calls at once never pass the limit of the ${scope}${"limits" in more ? " that the caller sets" : ""}`, async (t) => {
    const config = { limits: { ...testConfig().limits, ...limits } };
    const usage = { input_tokens: 2000, output_tokens: 3000 };
    const { models, server, spend } = await scriptedModels(t, () => ({ text: "hi", delay: 20, usage }), config);
    const calls = Array.from({ length: 40 }, (_, index) =>
      models.call(ask({ step: `model#${index}`, runId: scope === "run" ? "run_1" : `run_${index}`, ...more })),
    );
    const ends = await Promise.allSettled(calls);
    const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason.code] : []));
    const cost = ends.length - errors.length;
    assert.deepEqual(new Set(errors), new Set(["limit.usd"]));
    assert.ok(cost >= 4, `${cost} calls went through`);
    assert.equal(server.paidCalls(), cost);
    const name = { run: "run:run_1", day: "day:2026-11-23", month: "month:2026-11" }[scope];
    const { spentUsd, reservedUsd } = await spend(name);
    assert.ok(spentUsd <= 0.1 && Math.abs(spentUsd - cost * 0.017) < 1e-9, String(spentUsd));
    assert.equal(reservedUsd, 0);
  });
}

test("a limit's sentence says which, how much is gone, and where to raise it", async (t) => {
  const { models, server } = await scriptedModels(t, ["never"], {
    limits: { ...testConfig().limits, dayUsd: 0.01 },
  });
  const error = await failure(models.call(ask()));
  assert.equal(error.code, "limit.usd");
  assert.match(
    error.message,
    /The limit of the day 2026-11-23 is \$0\.010; \$0\.00 is spent or held, and the next model call may cost \$0\.02/,
  );
  assert.match(error.next!, /limits\.dayUsd/);
  assert.equal(server.requests.length, 0);
});

test("a paid answer is given even when the books cannot be written", async (t) => {
  const { models, database } = await scriptedModels(t, async () => {
    await database.close();
    return { text: "hi" };
  });
  t.mock.method(database, "close", async () => {});
  assert.equal((await models.call(ask())).text, "hi");
});
