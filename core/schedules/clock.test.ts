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
import { createScheduleClock, dueTimes, type RegisteredSchedule } from "./clock.ts";

const AMSTERDAM = "Europe/Amsterdam";
const MINUTE = 60_000;

/** What is due at `now` for a schedule that was to fire at `nextAt`; times as they are written in UTC. */
function due(
  cron: string,
  { nextAt, now, catchup = "one" }: { nextAt: string; now: string; catchup?: "none" | "one" | "all" },
) {
  const found = dueTimes({ cron, zone: AMSTERDAM, nextAt: new Date(`${nextAt}Z`) }, catchup, new Date(`${now}Z`));
  const text = (time: Date | null) => time?.toISOString().slice(0, 16) ?? null;
  return { due: found.due.map(text), missed: found.missed.map(text), next: text(found.next) };
}

test("what is on time is due, whatever is to become of missed times", () => {
  for (const catchup of ["none", "one", "all"] as const) {
    for (const now of ["2026-11-24T08:00:00", "2026-11-24T08:00:59.999"]) {
      assert.deepEqual(due("0 9 * * 2", { nextAt: "2026-11-24T08:00", now, catchup }), {
        due: ["2026-11-24T08:00"],
        missed: [],
        next: "2026-12-01T08:00",
      });
    }
  }
  assert.deepEqual(due("0 9 * * 2", { nextAt: "2026-11-24T08:00", now: "2026-11-24T07:59:59.999" }), {
    due: [],
    missed: [],
    next: "2026-11-24T08:00",
  });
});

test("after three days in which nothing ran, none, one or all missed times are made up", () => {
  const down = { nextAt: "2026-11-19T08:00", now: "2026-11-22T12:00:30" };
  const times = ["2026-11-19T08:00", "2026-11-20T08:00", "2026-11-21T08:00", "2026-11-22T08:00"];
  const next = "2026-11-23T08:00";
  assert.deepEqual(due("0 9 * * *", { ...down, catchup: "all" }), { due: times, missed: [], next });
  const one = due("0 9 * * *", { ...down, catchup: "one" });
  assert.deepEqual([one.due, one.missed.at(-1), one.next], [times.slice(-1), times[2], next]);
  const none = due("0 9 * * *", { ...down, catchup: "none" });
  assert.deepEqual([none.due, none.missed.at(-1), none.next], [[], times[3], next]);
});

test("a long absence of a schedule of every minute costs no long thought", () => {
  const began = performance.now();
  const years = { nextAt: "2024-11-22T12:00", now: "2026-11-22T12:00:30" };
  const one = due("* * * * *", years);
  assert.deepEqual(
    [one.due, one.missed.at(-1), one.next],
    [["2026-11-22T12:00"], "2026-11-22T11:59", "2026-11-22T12:01"],
  );
  const all = due("* * * * *", { ...years, catchup: "all" });
  assert.deepEqual([all.due.length, all.due[0], all.due.at(-1)], [1000, "2026-11-21T19:21", "2026-11-22T12:00"]);
  const rare = due("0 9 1 1 *", { ...years, catchup: "all" });
  assert.deepEqual(
    [rare.due, rare.next],
    [["2024-11-22T12:00", "2025-01-01T08:00", "2026-01-01T08:00"], "2027-01-01T08:00"],
  );
  assert.ok(performance.now() - began < 10_000, "a million minutes were looked at one by one");
});

test("a schedule that never fires again is done", () => {
  assert.deepEqual(dueTimes({ cron: "0 9 * * *", zone: AMSTERDAM, nextAt: null }, "one", new Date()), {
    due: [],
    missed: [],
    next: null,
  });
});

test("in spring a time that the clocks leave out is fired at the change, once", () => {
  // 29 March 2026: after 01:59:59 comes 03:00:00, which is 01:00 UTC.
  const day = { nextAt: "2026-03-28T01:30", now: "2026-03-30T12:00" };
  assert.deepEqual(due("30 2 * * *", { ...day, catchup: "all" }).due, [
    "2026-03-28T01:30",
    "2026-03-29T01:00",
    "2026-03-30T00:30",
  ]);
  const hours = { nextAt: "2026-03-28T23:00", now: "2026-03-29T03:00", catchup: "all" as const };
  assert.equal(due("0 * * * *", hours).due.length, 5, "every hour of the clock on the wall that there is");
});

test("in autumn a time that comes twice is fired once, and what comes each hour comes each hour", () => {
  // 25 October 2026: after 02:59:59 comes 02:00:00 again; 03:00 is 02:00 UTC.
  const day = { nextAt: "2026-10-24T00:30", now: "2026-10-26T12:00" };
  assert.deepEqual(due("30 2 * * *", { ...day, catchup: "all" }).due, [
    "2026-10-24T00:30",
    "2026-10-25T00:30",
    "2026-10-26T01:30",
  ]);
  const hours = { nextAt: "2026-10-24T22:00", now: "2026-10-25T03:00", catchup: "all" as const };
  assert.deepEqual(due("0 * * * *", hours).due.length, 6);
  assert.equal(due("30 2 * * *", { nextAt: "2026-10-25T00:30", now: "2026-10-25T01:45" }).next, "2026-10-26T01:30");
});

interface Clocks {
  readonly engine: Engine;
  readonly clock: ReturnType<typeof testClock>;
  /** One more clock on the same database. */
  open(database?: Database): ReturnType<typeof createScheduleClock>;
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
  const registered: RegisteredSchedule = { name: "test/tick", schedule: whole, zone: AMSTERDAM, handler };
  const open = (database = engine.database) =>
    createScheduleClock({
      ...{ database, runs: engine.runs, schedules: () => new Map([["test/tick", registered]]) },
      ...{ clock, live: createLive(), log: openLog({}) },
    });
  await open().sync();
  return {
    ...{ engine, clock, open },
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

test("missed times are told of in one event, with the reason", async (t) => {
  for (const [catchup, runs] of [
    ["none", 0],
    ["one", 1],
    ["all", 72],
  ] as const) {
    const { clock, open, events } = await testClocks(
      t,
      { cron: "0 * * * *", catchup, overlap: "allow" },
      async () => 1,
    );
    clock.advance(3 * 24 * 60 * MINUTE + 90_000);
    await open().tick();
    const kept = await events();
    assert.equal(kept.filter(({ outcome }) => outcome === "dispatched").length, runs, catchup);
    const skipped = kept.filter(({ outcome }) => outcome === "skipped");
    assert.equal(skipped.length, catchup === "all" ? 0 : 1);
    if (catchup !== "all") {
      assert.match(skipped[0]!.reason!, new RegExp(`[Mm]issed since 2026-11-22T13:00.*catchup is "${catchup}"`));
    }
    assert.equal(await open().tick(), 0, "told once");
  }
});

test("a tick that falls on an unfinished run is skipped, queued behind it, or run beside it", async (t) => {
  for (const [overlap, most, outcomes] of [
    ["skip", 1, "dispatched skipped skipped"],
    ["queue", 1, "dispatched dispatched dispatched"],
    ["allow", 3, "dispatched dispatched dispatched"],
  ] as const) {
    let beside = 0;
    let seen = 0;
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { engine, clock, open, events } = await testClocks(t, { overlap }, async () => {
      seen = Math.max(seen, ++beside);
      await gate;
      beside--;
    });
    const one = open();
    for (let minute = 0; minute < 3; minute++) {
      clock.advance(MINUTE);
      await one.tick();
    }
    for (let tries = 0; beside < most && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    await untilIdle(engine);
    assert.equal(seen, most, overlap);
    const kept = await events();
    assert.equal(kept.map(({ outcome }) => outcome).join(" "), outcomes);
    if (overlap === "skip") {
      assert.match(kept[1]!.reason!, /not finished; overlap is "skip"/);
      clock.advance(MINUTE);
      await one.tick();
      await untilIdle(engine);
      assert.equal((await events()).at(-1)?.outcome, "dispatched", "once it is finished, it goes on");
    }
  }
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

test("fired by hand it runs at once, paused or not, and the clock's own time stands", async (t) => {
  const { engine, clock, open, events } = await testClocks(t, {}, async ({ event }) => event.data);
  const one = open();
  await one.pause("test/tick", true);
  const kept = await one.fire("test/tick");
  assert.deepEqual((await engine.until(kept.runIds[0]!)).result, {
    schedule: "test/tick",
    nominal: "2026-11-22T12:00:30.000Z",
    date: "2026-11-22",
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
  await database.query("insert into schedules (name, cron, zone) values ('gone/tick', '* * * * *', 'UTC')");
  await open().sync();
  assert.deepEqual(
    (await listSchedules(database)).map(({ name }) => name),
    ["test/tick"],
  );
});
