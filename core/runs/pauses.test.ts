import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pause, resume } from "../store/held.ts";
import { testDatabase } from "../test/database.ts";
import { testEngine } from "../test/engine.ts";
import { dispatcher, event, processes, runsIn, statusesIn } from "../test/held.ts";

test("what comes while a trigger is paused is kept and waits, with what was queued, and is drained in order", async (t) => {
  const order: number[] = [];
  const engine = await testEngine(
    t,
    { note: { run: async ({ event }) => void order.push(Number(event.data.n)) } },
    { concurrency: 1, idle: true },
  );
  const ids = [await engine.send("note", { n: 0 }), await engine.send("note", { n: 1 })];
  await pause(engine.database, "trigger:note");
  await pause(engine.database, "note");
  await engine.runs.start();
  t.after(() => engine.runs.stop(100));
  for (const n of [2, 3, 4]) ids.push(await engine.send("note", { n }));
  for (const id of ids) assert.deepEqual((await engine.until(id, "waiting")).waiting, { kind: "paused", name: "note" });
  assert.deepEqual(await engine.runs.retry(ids[0]!), { done: false, status: "waiting" });
  assert.equal(await resume(engine.database, "note"), 5);
  for (const id of ids) await engine.until(id);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
  assert.equal(await resume(engine.database, "note"), 0, "it can be said twice");
});

test("what a trigger and its source both hold back goes on when both are resumed, in either order", async (t) => {
  for (const [first, second] of [
    ["source:test", "trigger:a/b"],
    ["trigger:a/b", "source:test"],
  ] as const) {
    const { database } = await testDatabase(t);
    const dispatch = dispatcher(database, {});
    await pause(database, first);
    await dispatch.one(event(1));
    await pause(database, second);
    await dispatch.one(event(2));
    await resume(database, first);
    const runs = await runsIn(database);
    assert.deepEqual(
      runs.map((run) => run.waiting),
      [1, 2].map(() => ({ kind: "paused", name: second })),
    );
    assert.equal(await resume(database, second), 2);
    assert.deepEqual(await statusesIn(database), ["queued", "queued"]);
  }
});

test("an event whose keeping has seen a pause, and is committed after the resume began, is not left behind", async (t) => {
  const { database, pools } = await processes(t, 2, {});
  await pause(database, "source:test");
  const kept = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const keeping = pools[0]!.transaction(async (inside) => {
    await dispatcher(inside, {}).one(event(1));
    kept.resolve();
    await goOn.promise;
  });
  await kept.promise;
  const resuming = resume(pools[1]!, "source:test");
  const late = dispatcher(pools[1]!, {}).one(event(2));
  await sleep(100);
  goOn.resolve();
  await Promise.all([keeping, resuming, late]);
  assert.deepEqual(await statusesIn(database), ["queued", "queued"]);
});

test("an event that comes in while a resume is being committed waits for it, and sees no pause any more", async (t) => {
  const { database, pools } = await processes(t, 2, { rate: { limit: 1, per: "1h" } });
  await pause(database, "trigger:a/b");
  const resumed = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const resuming = pools[0]!.transaction(async (inside) => {
    await resume(inside, "trigger:a/b");
    resumed.resolve();
    await goOn.promise;
  });
  await resumed.promise;
  const late = [
    dispatcher(pools[1]!, {}).one(event(1)),
    dispatcher(pools[1]!, { rate: { limit: 1, per: "1h" } }).one(event(2)),
  ];
  await sleep(100);
  assert.deepEqual(await statusesIn(database), [], "they wait");
  goOn.resolve();
  await Promise.all([resuming, ...late]);
  assert.deepEqual(await statusesIn(database), ["queued", "queued"]);
});

test("pausing and resuming over and over while three processes take events in leaves no run behind", async (t) => {
  const { database, pools, dispatches } = await processes(t, 3, {});
  let open = true;
  const names = ["source:test", "trigger:a/b"];
  const switching = Promise.all(
    names.map(async (name, place) => {
      while (open) {
        await pause(pools[place]!, name);
        await resume(pools[place + 1]!, name);
      }
    }),
  );
  await Promise.all(
    Array.from({ length: 600 }, async (_, n) => {
      await sleep(n);
      await dispatches[n % 3]!.one(event(n));
    }),
  );
  open = false;
  await switching;
  const statuses = await statusesIn(database);
  assert.deepEqual([statuses.length, new Set(statuses)], [600, new Set(["queued"])]);
});

test("a run that has begun goes on while its trigger is paused", async (t) => {
  const engine = await testEngine(t, {
    sleeper: { run: async ({ step }) => await step.sleep("nap", "200ms") },
  });
  const id = await engine.send("sleeper");
  await engine.until(id, "waiting");
  await pause(engine.database, "sleeper");
  assert.equal((await engine.until(id)).status, "completed");
});
