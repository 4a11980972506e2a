import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "../test/database.ts";
import { RESERVATION_LEASE, readSpend, reserve, settle, sweepReservations } from "./spend.ts";

const NOW = new Date("2026-11-22T12:00:00Z");
const day = (limitUsd: number) => [{ scope: "day:2026-11-22", limitUsd }];

let steps = 0;
const request = (usd: number, limitUsd: number, more: object = {}) => ({
  runId: "run_1",
  step: `model#${++steps}`,
  scopes: day(limitUsd),
  usd,
  now: NOW,
  ...more,
});

test("what is held counts against the limit, and settling gives the rest back", async (t) => {
  const { database } = await testDatabase(t);
  const first = await reserve(database, request(0.06, 0.1));
  assert.ok("reservationId" in first);
  const second = await reserve(database, request(0.06, 0.1));
  assert.deepEqual(second, { refused: { scope: "day:2026-11-22", limitUsd: 0.1, usedUsd: 0.06 } });
  await settle(database, first.reservationId, 0.01);
  assert.deepEqual(await readSpend(database, ["day:2026-11-22", "run:none"]), [
    { scope: "day:2026-11-22", spentUsd: 0.01, reservedUsd: 0 },
    { scope: "run:none", spentUsd: 0, reservedUsd: 0 },
  ]);
  assert.ok("reservationId" in (await reserve(database, request(0.06, 0.1))));
});

test("a limit may be used to the last cent, and not beyond it", async (t) => {
  const { database } = await testDatabase(t);
  for (let index = 0; index < 10; index++) {
    assert.ok("reservationId" in (await reserve(database, request(0.1, 1))), "ten times 0.1 is 1");
  }
  assert.ok("refused" in (await reserve(database, request(1e-9, 1))));
});

test("all scopes or none: what one refuses is held in no other", async (t) => {
  const { database } = await testDatabase(t);
  const scopes = [
    { scope: "run:a", limitUsd: 10 },
    { scope: "day:2026-11-22", limitUsd: 0.01 },
    { scope: "month:2026-11", limitUsd: 10 },
  ];
  const reserved = await reserve(database, request(0.5, 0, { scopes }));
  assert.ok("refused" in reserved && reserved.refused.scope === "day:2026-11-22");
  for (const { reservedUsd } of await readSpend(
    database,
    scopes.map((each) => each.scope),
  ))
    assert.equal(reservedUsd, 0);
});

test("settling twice counts once", async (t) => {
  const { database } = await testDatabase(t);
  const reserved = await reserve(database, request(0.5, 1));
  assert.ok("reservationId" in reserved);
  await Promise.all([1, 2, 3].map(() => settle(database, reserved.reservationId, 0.2)));
  assert.deepEqual((await readSpend(database, ["day:2026-11-22"]))[0], {
    scope: "day:2026-11-22",
    spentUsd: 0.2,
    reservedUsd: 0,
  });
});

test("what is held past its lease is swept as spent in full, and stays so", async (t) => {
  const { database } = await testDatabase(t);
  const reserved = await reserve(database, request(0.5, 1));
  assert.ok("reservationId" in reserved);
  const later = new Date(NOW.getTime() + RESERVATION_LEASE);
  assert.equal(await sweepReservations(database, new Date(later.getTime() - 1)), 0);
  assert.equal(await sweepReservations(database, later), 1);
  await settle(database, reserved.reservationId, 0.1);
  assert.equal((await readSpend(database, ["day:2026-11-22"]))[0]!.spentUsd, 0.5);
});

test("what a crash left held for a step counts in full when the step comes again", async (t) => {
  const { database } = await testDatabase(t);
  const again = { step: "ask/model" };
  await reserve(database, request(0.3, 1, again));
  const second = await reserve(database, request(0.3, 1, again));
  assert.ok("reservationId" in second);
  await settle(database, second.reservationId, 0.05);
  assert.deepEqual((await readSpend(database, ["day:2026-11-22"]))[0], {
    scope: "day:2026-11-22",
    spentUsd: 0.35,
    reservedUsd: 0,
  });
});

test("many at once, in any order of scopes, with sweeps between: no limit is passed at any moment, nothing hangs", async (t) => {
  const { database } = await testDatabase(t);
  const limits: Record<string, number> = {
    "day:2026-11-21": 2,
    "day:2026-11-22": 1,
    "month:2026-11": 2.5,
    "run:a": 0.7,
    "run:b": 0.9,
  };
  let seed = 20261122;
  const random = () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
  const outcomes = { held: 0, refused: 0 };
  let over = false;
  const watch = (async () => {
    while (!over) {
      for (const { scope, spentUsd, reservedUsd } of await readSpend(database, Object.keys(limits))) {
        assert.ok(spentUsd + reservedUsd <= limits[scope]! + 1e-12, `${scope}: ${spentUsd} + ${reservedUsd}`);
      }
    }
  })();
  const spent: Record<string, number> = {};
  const caller = async (name: number) => {
    for (let index = 0; index < 12; index++) {
      const day = random() < 0.5 ? "day:2026-11-21" : "day:2026-11-22";
      const run = random() < 0.5 ? "run:a" : "run:b";
      const scopes = [run, day, "month:2026-11"].sort(() => random() - 0.5);
      const usd = 0.02 + random() * 0.1;
      const lease = random() < 0.2 ? new Date(NOW.getTime() - RESERVATION_LEASE) : NOW;
      const reserved = await reserve(database, {
        runId: run,
        step: `${name}/${index % 5}`,
        scopes: scopes.map((scope) => ({ scope, limitUsd: limits[scope]! })),
        usd,
        now: lease,
      });
      outcomes["refused" in reserved ? "refused" : "held"]++;
      if ("refused" in reserved || random() < 0.1) continue;
      const real = random() < 0.2 ? null : usd * random() * 0.5;
      await settle(database, reserved.reservationId, real);
      if (random() < 0.2) await sweepReservations(database, NOW);
      for (const scope of scopes) spent[scope] = (spent[scope] ?? 0) + (real ?? usd);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, name) => caller(name)));
  over = true;
  await watch;
  await sweepReservations(database, new Date(NOW.getTime() + RESERVATION_LEASE));
  assert.ok(outcomes.held > 20 && outcomes.refused > 20, JSON.stringify(outcomes));
  for (const { scope, spentUsd, reservedUsd } of await readSpend(database, Object.keys(limits))) {
    assert.equal(reservedUsd, 0, scope);
    assert.ok(
      spentUsd >= (spent[scope] ?? 0) - 1e-6 && spentUsd <= limits[scope]!,
      `${scope}: ${spentUsd}, at least ${spent[scope]}`,
    );
  }
});
