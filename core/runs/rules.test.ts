import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_RETRY, decideRetry, effectiveLimits, isPermanent, nextStepKey } from "./rules.ts";

const now = new Date("2026-11-24T09:00:00Z");
const error = { code: "handler.threw", message: "Boom" };

test("a failed run climbs the ladder one rung a try, and the last rung repeats", () => {
  const policy = { attempts: 5, delays: [1000, 60_000] };
  const delays = [0, 1, 2, 3].map((attempts) => {
    const decision = decideRetry(policy, { attempts, error, now, chance: 0 });
    return decision.again ? decision.at.getTime() - now.getTime() : null;
  });
  assert.deepEqual(delays, [1000, 60_000, 60_000, 60_000]);
  assert.deepEqual(decideRetry(policy, { attempts: 4, error, now, chance: 0 }), {
    again: false,
    attempts: 5,
  });
});

test("chance adds at most a quarter, so that what failed together comes back apart", () => {
  const decision = decideRetry({ attempts: 2, delays: [1000] }, { attempts: 0, error, now, chance: 1 });
  assert.deepEqual(decision, { again: true, attempts: 1, at: new Date(now.getTime() + 1250) });
});

test("who asks to be left alone is, but not for ever", () => {
  const at = (retryAfter: number, attempts = 0) => {
    const failed = { attempts, error: { ...error, retryAfter }, now, chance: 0 };
    const decision = decideRetry({ attempts: 3, delays: [1000, 60_000] }, failed);
    return decision.again && decision.at.getTime() - now.getTime();
  };
  assert.deepEqual([at(30), at(30, 1), at(1e9)], [30_000, 60_000, 7_200_000]);
});

test("without delays the next try is at once", () => {
  const decision = decideRetry({ attempts: 2, delays: [] }, { attempts: 0, error, now, chance: 0 });
  assert.deepEqual(decision, { again: true, attempts: 1, at: now });
});

test("what no try would mend is not tried again", () => {
  for (const code of [
    "secret.missing",
    "model-key.wrong",
    "step.invalid",
    "price.unknown",
    "run.changed",
    "limit.usd",
    "event.unreadable",
  ]) {
    assert.equal(isPermanent({ code, message: "" }), true, code);
    assert.equal(
      decideRetry(DEFAULT_RETRY, { attempts: 0, error: { code, message: "" }, now, chance: 0 }).again,
      false,
      code,
    );
  }
  for (const code of ["handler.threw", "model.overloaded", "missing.link"])
    assert.equal(isPermanent({ code, message: "" }), false, code);
});

test("a run is allowed what it asks for, and never more than the owner allows", () => {
  const allowed = { turns: 20, usd: 0.5, minutes: 15 };
  assert.deepEqual(effectiveLimits({}, allowed), allowed);
  assert.deepEqual(effectiveLimits({ turns: 3, usd: 9, minutes: 1 }, allowed), {
    turns: 3,
    usd: 0.5,
    minutes: 1,
  });
});

test("a name that comes again gets a number, one that no other name has", () => {
  const counts = new Map<string, number>();
  assert.deepEqual(
    ["a", "b", "a", "a", "a#4", "a", "a#2"].map((name) => nextStepKey(counts, name)),
    ["a", "b", "a#2", "a#3", "a#4", "a#5", "a#2#2"],
  );
});
