import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLive } from "../base/live.ts";
import type { NewEvent } from "../define/event.ts";
import { type Label, OWNER, STRANGER } from "../define/label.ts";
import type { Waiting } from "../define/run.ts";
import { connect, type Database } from "../store/database.ts";
import { pause, releaseHeld, resume } from "../store/held.ts";
import { claimRuns } from "../store/runs.ts";
import { testDatabase } from "../test/database.ts";
import { testEngine } from "../test/engine.ts";
import { createDispatch, type Dispatch } from "./dispatch.ts";
import type { RegisteredHandler } from "./registered.ts";

type Held = Pick<RegisteredHandler, "debounce" | "rate" | "concurrency">;

const ALLOWED = { turns: 1, usd: 1, minutes: 1 };

/** A dispatch as a web process of its own has it: its own connections, its own batches. */
function dispatcher(database: Database, held: Held, now: () => Date = () => new Date()): Dispatch {
  const handler: RegisteredHandler = {
    ...{ name: "trigger:a/b", version: "1", retry: { attempts: 2, delays: [20] }, limits: {}, priority: 0 },
    ...{ secret: () => "", run: async () => null, ...held },
  };
  const triggers = () => [{ handler: handler.name, on: { source: "test", type: "*" } }];
  const handlers = { get: () => handler, triggers };
  return createDispatch({
    database,
    handlers,
    live: createLive(),
    onQueued: () => {},
    now,
    allowed: ALLOWED,
  });
}

async function processes(t: TestContext, count: number, held: Held) {
  const { database, connection } = await testDatabase(t);
  const pools = Array.from({ length: count }, () => connect({ ...connection, connections: 4 }));
  t.after(() => t.after(() => Promise.all(pools.map((pool) => pool.close()))));
  return { database, pools, dispatches: pools.map((pool) => dispatcher(pool, held)) };
}

const event = (n: number, data: object = {}, label: Label = STRANGER): NewEvent => ({
  ...{ source: "test", type: "it", key: String(n), data: { n, ...data }, label },
});

interface Row {
  readonly id: string;
  readonly status: string;
  readonly waiting: Waiting | null;
  readonly wakeAt: Date | null;
  readonly events: readonly number[];
}

const runsIn = (database: Database) =>
  database.query<Row>(
    `select r.id, r.status, r.waiting, r.wake_at as "wakeAt",
       array(select (e.data ->> 'n')::integer from bursts b join events e on e.id = b.event_id where b.run_id = r.id order by 1) as events
     from runs r order by r.id`,
  );
const statusesIn = async (database: Database) => (await runsIn(database)).map((run) => run.status);
const later = (milliseconds: number) => new Date(Date.now() + milliseconds);

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

/** How many began within any `span`, at the most. */
function mostWithin(starts: readonly number[], span: number): number {
  const sorted = [...starts].sort((a, b) => a - b);
  return Math.max(...sorted.map((from) => sorted.filter((at) => at >= from && at < from + span).length));
}

test("never more than a rate allows begin within its time, over any processes, in order, and none is lost", async (t) => {
  const { connection, database } = await testDatabase(t);
  const span = 400;
  const order: number[] = [];
  const handlers = {
    paced: {
      rate: { limit: 5, per: `${span}ms` },
      run: async ({ event }: { event: { data: Record<string, unknown> } }) => void order.push(Number(event.data.n)),
    },
  };
  const engines: Awaited<ReturnType<typeof testEngine>>[] = [];
  for (let n = 0; n < 3; n++) {
    const pool = connect({ ...connection, connections: 4 });
    t.after(() => t.after(() => pool.close()));
    engines.push(await testEngine(t, handlers, { database: pool }));
  }
  const began = performance.now();
  const ids = [];
  for (let n = 0; n < 40; n += 4) {
    ids.push(...(await Promise.all([0, 1, 2, 3].map((m) => engines[n % 3]!.send("paced", { n: n + m })))));
  }
  const waiting = await engines[0]!.until(ids.at(-1)!, "waiting");
  assert.deepEqual(waiting.waiting, { kind: "rate", limit: 5, milliseconds: span });
  assert.ok(waiting.wakeAt! > new Date(), "it is told when");
  for (const id of ids) assert.equal((await engines[0]!.until(id)).status, "completed");
  const took = performance.now() - began;
  const starts = await database.query<{ at: number; n: number }>(
    `select extract(epoch from r.started_at) * 1000 as at, (e.data ->> 'n')::integer as n
     from runs r join events e on e.id = r.event_id order by r.started_at`,
  );
  assert.equal(
    mostWithin(
      starts.map((one) => Number(one.at)),
      span,
    ),
    5,
  );
  assert.equal(new Set(order).size, 40);
  assert.ok(took >= 7 * span && took < 12 * span, `${took} ms`);
  // Those of one moment are sent by several processes; between moments the order stands.
  const moments = starts.map((one) => Math.floor(one.n / 20));
  assert.deepEqual(moments, [...moments].sort());
});

test("runs above a rate are told their turn one by one, and each key has its own", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { rate: { limit: 2, per: "1m", key: "of" } });
  for (let n = 0; n < 7; n++) await dispatch.one(event(n, { of: n === 6 ? "b" : "a" }));
  const runs = await runsIn(database);
  assert.deepEqual(
    runs.map((run) => run.status),
    ["queued", "queued", "waiting", "waiting", "waiting", "waiting", "queued"],
  );
  const minutes = runs.slice(2, 6).map((run) => Math.round((run.wakeAt!.getTime() - Date.now()) / 60_000));
  assert.deepEqual(minutes, [1, 1, 2, 2]);
});

test("however late a run begins that its rate has let through, the one after it keeps its distance", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { rate: { limit: 1, per: "300ms" } });
  for (const n of [0, 1, 2]) await dispatch.one(event(n));
  await sleep(400);
  await releaseHeld(database, new Date());
  assert.deepEqual(await statusesIn(database), ["queued", "waiting", "waiting"], "the first has not begun yet");
  const [begun] = await claimRuns(database, "prc_1", 10);
  for (;;) {
    const next = await releaseHeld(database, new Date());
    const [, second, third] = await runsIn(database);
    assert.equal(third!.status, "waiting");
    if (second!.status === "queued") break;
    assert.ok(next, "it is known when to look again");
    assert.ok(next.getTime() <= second!.wakeAt!.getTime());
    await sleep(Math.max(1, next.getTime() - Date.now()));
  }
  assert.ok(Date.now() - begun!.startedAt.getTime() >= 300);
});

test("a rate and a limit of runs at a time hold together", async (t) => {
  let busy = 0;
  let most = 0;
  const engine = await testEngine(t, {
    both: {
      ...{ rate: { limit: 4, per: "200ms" }, concurrency: { limit: 2 } },
      run: async () => {
        most = Math.max(most, ++busy);
        await sleep(20);
        busy--;
      },
    },
  });
  const ids = await Promise.all(Array.from({ length: 10 }, (_, n) => engine.send("both", { n })));
  for (const id of ids) await engine.until(id);
  const starts = await engine.database.query<{ at: number }>(
    "select extract(epoch from started_at) * 1000 as at from runs",
  );
  assert.deepEqual(
    [
      most,
      mostWithin(
        starts.map((one) => Number(one.at)),
        200,
      ),
    ],
    [2, 4],
  );
});

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

test("a burst that is gathered while its trigger is paused waits, and then for its turn", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { debounce: { key: "of", delay: "1s" }, rate: { limit: 1, per: "1h" } });
  await pause(database, "trigger:a/b");
  for (const n of [0, 1, 2]) await dispatch.one(event(n, { of: n % 2 }));
  const kinds = async () => (await runsIn(database)).map((run) => [run.status, run.waiting?.kind]);
  assert.deepEqual(await kinds(), [
    ["waiting", "debounce"],
    ["waiting", "debounce"],
  ]);
  await releaseHeld(database, later(5000));
  assert.deepEqual(await kinds(), [
    ["waiting", "paused"],
    ["waiting", "paused"],
  ]);
  await resume(database, "trigger:a/b");
  assert.deepEqual(await kinds(), [
    ["queued", undefined],
    ["waiting", "rate"],
  ]);
  await pause(database, "source:test");
  assert.deepEqual(await kinds(), [
    ["waiting", "paused"],
    ["waiting", "paused"],
  ]);
  await resume(database, "source:test");
  assert.deepEqual(await kinds(), [
    ["queued", undefined],
    ["waiting", "rate"],
  ]);
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

/** A database whose process dies before the statement number `most` of what it is asked for: nothing of it is committed. */
function dyingAfter(database: Database, most: number): Database {
  let asked = 0;
  const dying = (inside: Database): Database => ({
    ...inside,
    query: (text, values, name) => {
      if (asked++ >= most) throw new Error("kill -9");
      return inside.query(text, values, name);
    },
    transaction: (work) => inside.transaction((within) => work(dying(within))),
  });
  return dying(database);
}

test("kill -9 between any two statements loses no event of a burst, no turn and nobody who waits", async (t) => {
  const held = { debounce: { key: "of", delay: "1s" }, rate: { limit: 1, per: "1h" } };
  const { database } = await testDatabase(t);
  /** Does it until it dies nowhere, each time one statement further. */
  const doing = async (work: (database: Database) => Promise<unknown>) => {
    for (let most = 0; ; most++) {
      const died = await work(dyingAfter(database, most)).then(
        () => false,
        (error) => /kill -9/.test(String(error)) || Promise.reject(error),
      );
      if (!died) return assert.ok(most > 1, "it takes more than one statement");
    }
  };
  const states = async () => (await runsIn(database)).map((run) => [run.status, run.waiting?.kind ?? null, run.events]);
  for (const n of [0, 1, 2]) await doing((dying) => dispatcher(dying, held).one(event(n, { of: n % 2 })));
  assert.deepEqual(await states(), [
    ["waiting", "debounce", [0, 2]],
    ["waiting", "debounce", [1]],
  ]);
  await doing((dying) => pause(dying, "source:test"));
  await doing((dying) => releaseHeld(dying, later(5000)));
  assert.deepEqual(await states(), [
    ["waiting", "paused", [0, 2]],
    ["waiting", "paused", [1]],
  ]);
  await doing((dying) => resume(dying, "source:test"));
  assert.deepEqual(await states(), [
    ["queued", null, [0, 2]],
    ["waiting", "rate", [1]],
  ]);
  assert.deepEqual(await database.query("select from pauses"), []);
});
