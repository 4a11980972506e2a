import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { OWNER, STRANGER } from "../define/label.ts";
import { releaseHeld } from "../store/held.ts";
import { claimRuns } from "../store/runs.ts";
import { testDatabase } from "../test/database.ts";
import { testEngine } from "../test/engine.ts";
import { dispatcher, event, later, processes, runsIn, statusesIn } from "../test/held.ts";

test("a burst that comes in over three processes at once is one run with all its events, each of them once", async (t) => {
  const { database, dispatches } = await processes(t, 3, { debounce: { key: "of", delay: "1h" } });
  const all = await Promise.all(
    Array.from({ length: 300 }, async (_, n) => dispatches[n % 3]!.one(event(n % 200, { of: n % 4 }))),
  );
  const runs = await runsIn(database);
  assert.equal(runs.length, 4, "one for each key");
  assert.deepEqual(
    runs.flatMap((run) => run.events).sort((a, b) => a - b),
    [...Array(200).keys()],
  );
  for (const run of runs) {
    assert.equal(run.status, "waiting");
    assert.deepEqual(run.waiting, { kind: "debounce", events: 50, until: null });
    assert.ok(new Set(run.events.map((n) => n % 4)).size === 1);
  }
  assert.equal(all.filter((one) => one.duplicate).length, 100);
  for (const one of all)
    assert.ok(one.runIds.length === 1 && runs.some((run) => run.id === one.runIds[0]), "its run is told");
});

test("a burst's handler sees all its events, oldest first, and its label is the join of theirs", async (t) => {
  const { database, dispatches } = await processes(t, 2, { debounce: { delay: "20ms" } });
  const labels = [OWNER, STRANGER, OWNER];
  for (const n of [0, 1, 2]) await dispatches[n % 2]!.one(event(n, {}, labels[n]));
  await releaseHeld(database, later(1000));
  const [run] = await claimRuns(database, "prc_1", 10);
  assert.deepEqual(
    run!.events.map((one) => (one.data as { n: number }).n),
    [0, 1, 2],
  );
  assert.equal((run!.event.data as { n: number }).n, 2);
  assert.deepEqual(run!.label, { integrity: "untrusted", privacy: "private" });
});

test("a burst begins its delay after the last event, at the latest `most` after the first", async (t) => {
  const { database } = await testDatabase(t);
  let now = new Date("2026-11-22T12:00:00Z");
  const dispatch = dispatcher(database, { debounce: { delay: "30s", most: "70s" } }, () => now);
  const at = async (seconds: number, n: number) => {
    now = new Date(Date.parse("2026-11-22T12:00:00Z") + seconds * 1000);
    await dispatch.one(event(n));
    return (await runsIn(database)).at(-1)!.wakeAt!.toISOString().slice(11, 19);
  };
  assert.deepEqual(
    [await at(0, 1), await at(20, 2), await at(45, 3), await at(60, 4)],
    ["12:00:30", "12:00:50", "12:01:10", "12:01:10"],
  );
  await releaseHeld(database, new Date("2026-11-22T12:01:09Z"));
  assert.deepEqual(await statusesIn(database), ["waiting"]);
  await releaseHeld(database, new Date("2026-11-22T12:01:10Z"));
  assert.deepEqual(await statusesIn(database), ["queued"]);
  assert.equal(await at(71, 5), "12:01:41", "what comes after it begins another");
  assert.deepEqual(
    (await runsIn(database)).map((run) => run.events),
    [[1, 2, 3, 4], [5]],
  );
});

test("a run that has gathered a thousand events begins, and what cannot be read is gathered with nothing", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { debounce: { delay: "1h" } });
  await Promise.all(Array.from({ length: 1000 }, (_, n) => dispatch.one(event(n))));
  await dispatch.one(event(1000));
  await dispatch.one({ ...event(1001), problem: "It cannot be read." });
  await releaseHeld(database, later(1000));
  await dispatch.one(event(1002));
  assert.deepEqual(
    (await runsIn(database)).map((run) => [run.status, run.events.length]),
    [
      ["queued", 1001],
      ["queued", 0],
      ["waiting", 1],
    ],
  );
});

test("bursts that close while events join them lose none and keep none twice", async (t) => {
  const { database, pools, dispatches } = await processes(t, 3, { debounce: { key: "of", delay: "1ms" } });
  let open = true;
  const closing = Promise.all(
    pools.map(async (pool) => {
      while (open) await releaseHeld(pool, new Date());
    }),
  );
  const send = (from: number) =>
    Promise.all(
      Array.from({ length: 300 }, async (_, place) => {
        await sleep(place / 2);
        const n = from + place;
        await dispatches[n % 3]!.one(event(n, { of: n % 2 }));
      }),
    );
  await send(0);
  // However slow the machine is, bursts close in the middle of it all.
  await releaseHeld(database, later(1000));
  await send(300);
  open = false;
  await closing;
  await releaseHeld(database, later(1000));
  const runs = await runsIn(database);
  assert.deepEqual(new Set(runs.map((run) => run.status)), new Set(["queued"]));
  assert.deepEqual(
    runs.flatMap((run) => run.events).sort((a, b) => a - b),
    [...Array(600).keys()],
  );
  assert.ok(runs.length > 2, `${runs.length} bursts`);
});

test("a duplicate of an event that stands in the middle of a burst changes nothing, before and after the run", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { debounce: { delay: "1h" } });
  const [first] = await Promise.all([1, 2, 3].map((n) => dispatch.one(event(n))));
  const again = await dispatch.one(event(1));
  assert.deepEqual([again.duplicate, again.runIds], [true, first!.runIds]);
  await releaseHeld(database, later(7_200_000));
  await claimRuns(database, "prc_1", 10);
  assert.deepEqual((await dispatch.one(event(1))).runIds, first!.runIds);
  assert.deepEqual(
    (await runsIn(database)).map((run) => run.events),
    [[1, 2, 3]],
  );
});

test("events that come while a burst's run is at work, or waits for its next try, are another burst; a try has the same events", async (t) => {
  const seen: number[][] = [];
  const engine = await testEngine(t, {
    chat: {
      debounce: { delay: "30ms" },
      run: async ({ events }) => {
        seen.push(events.map((one) => Number(one.data.n)));
        if (seen.length === 1) throw new Error("the first time");
        return events.length;
      },
      retry: { attempts: 2, delays: [400] },
    },
  });
  const first = await engine.send("chat", { n: 1 });
  assert.equal(await engine.send("chat", { n: 2 }), first);
  await engine.until(first, "waiting");
  while (seen.length === 0) await sleep(5);
  const second = await engine.send("chat", { n: 3 });
  assert.notEqual(second, first);
  assert.equal((await engine.until(second)).result, 1);
  assert.equal((await engine.until(first)).result, 2);
  assert.deepEqual(seen.map(String).sort(), ["1,2", "1,2", "3"]);
});

test("a burst's run that waits for an event is not woken by one of its own", async (t) => {
  const engine = await testEngine(t, {
    chat: {
      debounce: { delay: "50ms" },
      run: async ({ wait }) => (await wait("more", { source: "test", type: "chat" }, "300ms"))?.data ?? null,
    },
  });
  const id = await engine.send("chat", { n: 1 });
  await engine.send("chat", { n: 2 });
  assert.equal((await engine.until(id)).result, null);
});

test("a burst that is canceled while it gathers is over: the next event begins another", async (t) => {
  const engine = await testEngine(t, { chat: { debounce: { delay: "1h" }, run: async () => null } });
  const id = await engine.send("chat", { n: 1 });
  await engine.runs.cancel(id);
  assert.notEqual(await engine.send("chat", { n: 2 }), id);
  await engine.runs.retry(id);
  assert.equal((await engine.until(id)).status, "completed");
});

test("replayed events are gathered like those that come in", async (t) => {
  const engine = await testEngine(t, {
    chat: { debounce: { delay: "100ms" }, run: async ({ events }) => events.map((one) => one.data.n) },
  });
  const kept = [];
  for (const n of [1, 2])
    kept.push(await engine.runs.dispatch({ source: "test", type: "chat", data: { n }, label: STRANGER }));
  const [first] = kept[0]!.runIds;
  await engine.until(first!);
  const [one, two] = [await engine.runs.replay(kept[1]!.eventId), await engine.runs.replay(kept[0]!.eventId)];
  assert.deepEqual(one.runIds, two.runIds);
  assert.notEqual(one.runIds[0], first);
  assert.deepEqual((await engine.until(one.runIds[0]!)).result, [1, 2]);
});
