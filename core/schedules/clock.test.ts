import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLive } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import type { Schedule } from "../define/capability.ts";
import type { RegisteredHandler } from "../runs/registered.ts";
import type { Database } from "../store/database.ts";
import { listSchedules } from "../store/schedules.ts";
import { testClock } from "../test/console.ts";
import { type Engine, type TestHandler, testEngine } from "../test/engine.ts";
import { createScheduleClock, type RegisteredSchedule } from "./clock.ts";
import { jitterOf, wholePolicy } from "./due.ts";

const AMSTERDAM = "Europe/Amsterdam";
const MINUTE = 60_000;

interface Clocks {
  readonly engine: Engine;
  readonly clock: ReturnType<typeof testClock>;
  /** One more clock on the same database. */
  open(database?: Database): ReturnType<typeof createScheduleClock>;
  /** What the owner was told. */
  readonly told: readonly string[];
  events(): Promise<{ key: string; outcome: string; reason: string | null; runs: number }[]>;
}

/** A hall that carries `test/tick`, and clocks at 12:00:30 of 22 November 2026, UTC. */
async function testClocks(t: TestContext, schedule: Partial<Schedule>, run: TestHandler["run"]): Promise<Clocks> {
  const name = "schedule:test/tick";
  const engine = await testEngine(t, { [name]: { run } });
  const clock = testClock(new Date("2026-11-22T12:00:30Z"));
  const handler = {
    ...{ name, version: "1", retry: { attempts: 1, delays: [] }, limits: {}, priority: 0 },
    ...{ secret: () => "", run: run as RegisteredHandler["run"] },
  };
  const whole: Schedule = { name: "tick", cron: "* * * * *", run: async () => {}, ...schedule };
  const registered: RegisteredSchedule = { name: "test/tick", schedule: whole, zone: AMSTERDAM };
  const told: string[] = [];
  const open = (database = engine.database) =>
    createScheduleClock({
      ...{ database, runs: engine.runs, schedules: () => new Map([["test/tick", registered]]) },
      ...{ clock, live: createLive(), log: openLog({}), handler: () => handler },
      tell:
        async (_, { text }) =>
        () =>
          void told.push(text),
    });
  await open().sync();
  return {
    ...{ engine, clock, open, told },
    events: () =>
      engine.database.query(
        `select key, outcome, reason, (select count(*) from runs where event_id = e.id) as runs from events e
         where source = 'schedule' order by time, id`,
      ),
  };
}

const keyAt = (minute: string) => `test/tick@2026-11-22T${minute}:00.000Z`;

async function untilIdle(engine: Engine): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if ((await engine.database.query("select from runs where finished_at is null")).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("some runs do not end");
}

test("a clock fires at its minutes and not before, and hands its handler the nominal time", async (t) => {
  const nows: Date[] = [];
  const { engine, clock, open, events } = await testClocks(t, {}, async ({ now }) => {
    nows.push(now);
  });
  const one = open();
  assert.equal(await one.tick(), 0);
  clock.advance(29_999);
  assert.equal(await one.tick(), 0);
  clock.advance(1);
  assert.equal(await one.tick(), 1);
  assert.equal(await one.tick(), 0);
  await untilIdle(engine);
  clock.advance(MINUTE + 5000);
  assert.equal(await one.tick(), 1);
  await untilIdle(engine);
  assert.deepEqual(
    (await events()).map(({ key, runs }) => [key, runs]),
    [
      [keyAt("12:01"), 1],
      [keyAt("12:02"), 1],
    ],
  );
  assert.deepEqual(
    nows.map((now) => now.toISOString()),
    ["2026-11-22T12:01:00.000Z", "2026-11-22T12:02:00.000Z"],
  );
  const [row] = await listSchedules(engine.database);
  assert.deepEqual(
    [row?.lastAt?.toISOString(), row?.nextAt?.toISOString()],
    ["2026-11-22T12:02:00.000Z", "2026-11-22T12:03:00.000Z"],
  );
});

test("clocks side by side, of which some die in the middle of a tick, fire each minute once", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, { overlap: "allow" }, async () => "done");
  const { database } = engine;
  let die = false;
  // Dies as kill -9 would have it: all is written, nothing is committed.
  const mortal: Database = {
    ...database,
    transaction: (work) =>
      database.transaction(async (inside) => {
        const result = await work(inside);
        if (die) throw new Error("killed");
        return result;
      }),
  };
  const clocks = [open(), open(), open(mortal)];
  for (let minute = 0; minute < 120; minute++) {
    clock.advance(MINUTE);
    die = minute % 3 === 0;
    const late = minute % 4 === 1 ? [] : clocks;
    await Promise.all(late.map((one) => one.tick().catch(() => 0)));
    await clocks[minute % 2]!.tick();
  }
  await untilIdle(engine);
  const kept = await events();
  assert.equal(kept.length, 120);
  assert.equal(new Set(kept.map(({ key }) => key)).size, 120);
  assert.deepEqual([...new Set(kept.map(({ outcome, runs }) => `${outcome} ${runs}`))], ["dispatched 1"]);
  assert.deepEqual([kept[0]?.key, kept.at(-1)?.key], [keyAt("12:01"), keyAt("14:00")]);
});

test("a started clock ticks by itself until it is stopped; another goes on", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, { overlap: "allow" }, async () => "done");
  const [one, other] = [open(), open()];
  one.start();
  other.start();
  const pass = async (milliseconds: number) => {
    for (const end = clock.now().getTime() + milliseconds; clock.now().getTime() < end; ) {
      while (clock.waiting.size === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      clock.advance(1000);
    }
  };
  await pass(2 * MINUTE);
  await one.stop();
  await pass(2 * MINUTE);
  await other.stop();
  assert.equal(clock.waiting.size, 0, "a stopped clock waits for nothing");
  await untilIdle(engine);
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    ["12:01", "12:02", "12:03", "12:04"].map(keyAt),
  );
});

test("after three days each missed tick is made up or told, by the policy and its window", async (t) => {
  for (const [policy, runs, told] of [
    [{ catchup: "none" }, 0, 10],
    [{ catchup: "one" }, 1, 10],
    [{ catchup: "all" }, 24, 10],
    [{ catchup: "all", window: "7d" }, 72, 0],
  ] as const) {
    const { clock, open, events } = await testClocks(
      t,
      { cron: "0 * * * *", ...policy, overlap: "allow" },
      async () => 1,
    );
    clock.advance(3 * 24 * 60 * MINUTE + 90_000);
    await open().tick();
    const kept = await events();
    assert.equal(kept.filter(({ outcome }) => outcome === "dispatched").length, runs, policy.catchup);
    const skipped = kept.filter(({ outcome }) => outcome === "skipped");
    assert.equal(skipped.length, told);
    for (const { reason } of skipped)
      assert.match(reason!, new RegExp(`^Missed while.*catchup is "${policy.catchup}"`));
    if (told > 0) assert.match(skipped[0]!.reason!, /those before it, since 2026-11-22T13:00/);
    assert.equal(await open().tick(), 0, "told once");
  }
});

test("missed ticks are made up one after another, in their order, and then it goes on", async (t) => {
  let beside = 0;
  const seen: string[] = [];
  const { engine, clock, open, events } = await testClocks(
    t,
    { cron: "0 * * * *", catchup: "all" },
    async ({ now }) => {
      assert.equal(++beside, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push(now.toISOString().slice(11, 13));
      beside--;
    },
  );
  clock.advance(5 * 60 * MINUTE);
  const one = open();
  for (let look = 0; look < 12; look++) {
    await one.tick();
    await one.tick();
    await untilIdle(engine);
    clock.advance(1000);
  }
  assert.deepEqual(seen, ["13", "14", "15", "16", "17"]);
  assert.ok((await events()).every(({ outcome }) => outcome === "dispatched"));
});

/** A handler that ends when it is let. */
function gated() {
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  const state = { beside: 0, most: 0, aborted: 0 };
  const run: TestHandler["run"] = async ({ signal }) => {
    state.most = Math.max(state.most, ++state.beside);
    signal.addEventListener("abort", () => state.aborted++);
    await Promise.race([gate, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    state.beside--;
  };
  return { state, release, run };
}

async function untilTrue(what: string, ask: () => boolean): Promise<void> {
  for (let tries = 0; !ask(); tries++) {
    if (tries > 500) assert.fail(`still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("a tick that falls on an unfinished run is skipped, queued behind it, run beside it, or takes its place", async (t) => {
  for (const [overlap, most, during, after] of [
    ["skip", 1, "dispatched skipped skipped", "dispatched skipped skipped dispatched"],
    ["queue", 1, "dispatched skipped", "dispatched dispatched skipped dispatched"],
    ["allow", 3, "dispatched dispatched dispatched", "dispatched dispatched dispatched dispatched"],
  ] as const) {
    const { state, release, run } = gated();
    const { engine, clock, open, events } = await testClocks(t, { overlap }, run);
    const one = open();
    for (let minute = 0; minute < 3; minute++) {
      clock.advance(MINUTE);
      await one.tick();
    }
    await untilTrue("all have begun", () => state.beside === most);
    const outcomes = async () => (await events()).map(({ outcome }) => outcome).join(" ");
    assert.equal(await outcomes(), during);
    const reason = (await events()).find(({ outcome }) => outcome === "skipped")?.reason;
    if (overlap === "skip") assert.equal(reason, 'The run before is not finished; overlap is "skip".');
    if (overlap === "queue") assert.match(reason!, /^The run before is not finished, and one tick is queued/);
    release();
    await untilIdle(engine);
    clock.advance(1000);
    await one.tick();
    await untilIdle(engine);
    clock.advance(MINUTE);
    await one.tick();
    await untilIdle(engine);
    assert.equal(await outcomes(), after);
    assert.equal(state.most, most, overlap);
  }
});

test("with overlap cancel the older run is stopped with its children before the newer one starts", async (t) => {
  const { state, run } = gated();
  const { engine, clock, open, events } = await testClocks(t, { overlap: "cancel" }, async (context) => {
    if (context.event.key === keyAt("12:01")) await context.emit({ source: "test", type: "child", data: {} });
    return await run(context);
  });
  engine.handlers.child = { run: async ({ step }) => await step.sleep("long", "1d") };
  const one = open();
  clock.advance(MINUTE);
  await one.tick();
  await untilTrue("it runs", () => state.beside === 1);
  clock.advance(MINUTE);
  await one.tick();
  assert.equal((await events()).length, 1, "the newer tick waits until the older run has ended");
  await untilTrue("the older one has ended", () => state.aborted === 1);
  for (let look = 0; (await events()).length < 2 && look < 100; look++) {
    clock.advance(1000);
    await one.tick();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const kept = await events();
  assert.deepEqual(
    kept.map(({ key, outcome }) => `${key} ${outcome}`),
    [`${keyAt("12:01")} dispatched`, `${keyAt("12:02")} dispatched`],
  );
  const runs = await engine.database.query<{ handler: string; status: string }>(
    "select handler, status from runs order by id",
  );
  assert.deepEqual(
    runs.map(({ handler, status }) => `${handler} ${status}`),
    ["schedule:test/tick canceled", "child canceled", "schedule:test/tick running"],
  );
  assert.equal(state.most, 1);
});

test("failures in a row are told once, and the good run that ends them: to the owner and as events", async (t) => {
  let good = true;
  const { engine, clock, open, told } = await testClocks(t, { onFailure: { after: 2 } }, async () => {
    if (!good) throw new Error("The far side is away.");
  });
  const one = open();
  const other = open();
  const next = async () => {
    clock.advance(MINUTE);
    await one.tick();
    await untilIdle(engine);
    await Promise.all([one.settle(), other.settle()]);
  };
  await next();
  good = false;
  await next();
  assert.deepEqual(told, [], "one failure is not yet told");
  await next();
  assert.equal(told.length, 1);
  assert.match(
    told[0]!,
    /^The schedule test\/tick failed 2 times in a row since \w+day .*, when it last went well\. For Sunday 22 November 2026, 13:03: Error: The far side is away\. Next: /,
  );
  await next();
  assert.equal(told.length, 1, "told once");
  assert.equal((await listSchedules(engine.database))[0]!.failures, 3);
  good = true;
  await next();
  await next();
  assert.deepEqual(told.slice(1), ["The schedule test/tick goes well again, after 3 failed runs."]);
  assert.equal((await listSchedules(engine.database))[0]!.failures, 0);
  const events = await engine.database.query<{ type: string; data: { failures: number } }>(
    "select type, data from events where source = 'daimon' order by id",
  );
  assert.deepEqual(
    events.map(({ type, data }) => [type, data.failures]),
    [
      ["schedule.failed", 2],
      ["schedule.recovered", 3],
    ],
  );
});

test("a tick fires later by its jitter, the same each time, and its nominal time stays", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, { jitter: "30s", overlap: "allow" }, async () => 1);
  const jitter = jitterOf("test/tick", wholePolicy({ jitter: "30s" }));
  assert.ok(jitter > 0 && jitter < 30_000);
  const one = open();
  clock.advance(30_000 + jitter - 1);
  assert.equal(await one.tick(), 0);
  clock.advance(1);
  assert.equal(await one.tick(), 1);
  clock.advance(MINUTE);
  assert.equal(await one.tick(), 1);
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    [keyAt("12:01"), keyAt("12:02")],
  );
  const [event] = await engine.database.query<{ data: { late: number } }>(
    "select data from events order by id limit 1",
  );
  assert.equal(event!.data.late, 0);
});

test("a paused schedule misses its times for good, a resumed one goes on with the next", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, { catchup: "all" }, async () => 1);
  const one = open();
  await one.pause("test/tick", true);
  clock.advance(10 * MINUTE);
  assert.equal(await one.tick(), 0);
  await one.sync();
  assert.equal((await listSchedules(engine.database))[0]?.paused, true, "a restart leaves it paused");
  await one.pause("test/tick", false);
  assert.equal(await one.tick(), 0);
  clock.advance(MINUTE);
  assert.equal(await one.tick(), 1);
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    [keyAt("12:11")],
  );
  await assert.rejects(one.pause("test/none", true), { code: "schedule.missing" });
});

test("a tick that waits behind a run is not put off when its schedule is paused, resumed, or installed anew", async (t) => {
  const { release, run } = gated();
  const schedule = { cron: "1,2 * * * *", overlap: "queue", description: "before" } as const;
  const { engine, clock, open, events } = await testClocks(t, schedule, run);
  const one = open();
  for (let minute = 0; minute < 2; minute++) {
    clock.advance(MINUTE);
    await one.tick();
  }
  await one.pause("test/tick", true);
  await one.pause("test/tick", false);
  await engine.database.query("update schedules set description = 'after'");
  await one.sync();
  release();
  await untilIdle(engine);
  clock.advance(1000);
  assert.equal(await one.tick(), 1);
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    [keyAt("12:01"), keyAt("12:02")],
  );
  await untilIdle(engine);
});

test("resuming what is not paused passes no tick over", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, {}, async () => 1);
  clock.advance(MINUTE);
  await open().pause("test/tick", false);
  assert.equal(await open().tick(), 1);
  await untilIdle(engine);
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    [keyAt("12:01")],
  );
});

test("fired by hand it runs at once, paused or not, and the clock's own time stands", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, {}, async ({ event }) => event.data);
  const one = open();
  await one.pause("test/tick", true);
  const kept = await one.fire("test/tick");
  assert.deepEqual((await engine.until(kept.runIds[0]!)).result, {
    schedule: "test/tick",
    nominal: "2026-11-22T12:00:30.000Z",
    date: "2026-11-22",
    words: "Sunday 22 November 2026, 13:00",
    late: 0,
  });
  await one.pause("test/tick", false);
  clock.advance(MINUTE);
  await one.tick();
  assert.deepEqual(
    (await events()).map(({ key }) => key),
    ["test/tick@2026-11-22T12:00:30.000Z/manual", keyAt("12:01")],
  );
  await assert.rejects(one.fire("test/none"), { code: "schedule.missing" });
});

test("a schedule whose cron or zone changed forgets its old time, one that is gone is forgotten", async (t) => {
  const { engine, clock, open } = await testClocks(t, {}, async () => 1);
  const { database } = engine;
  clock.advance(10 * MINUTE);
  await open().sync();
  assert.equal((await listSchedules(database))[0]?.nextAt?.toISOString(), "2026-11-22T12:01:00.000Z");
  await database.query("update schedules set zone = 'Asia/Tokyo'");
  await open().sync();
  assert.equal((await listSchedules(database))[0]?.nextAt?.toISOString(), "2026-11-22T12:11:00.000Z");
  await database.query(
    "insert into schedules (name, cron, zone, origin, policy) values ('gone/tick', '* * * * *', 'UTC', 'code', '{}'), ('mine', '0 9 * * *', 'UTC', 'owner', '{}')",
  );
  await open().sync();
  assert.deepEqual(
    (await listSchedules(database)).map(({ name }) => name),
    ["mine", "test/tick"],
  );
});
