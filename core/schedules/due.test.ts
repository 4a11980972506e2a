import assert from "node:assert/strict";
import { test } from "node:test";
import { dueTimes, jitterOf, planTicks, wholePolicy } from "./due.ts";

const AMSTERDAM = "Europe/Amsterdam";

const text = (time: Date | null) => time?.toISOString().slice(0, 16) ?? null;

/** What is due at `now` for a schedule that was to fire at `nextAt`; times as they are written in UTC. */
function due(
  cron: string,
  { nextAt, now, ...policy }: { nextAt: string; now: string; catchup?: "none" | "one" | "all"; window?: string },
) {
  const row = { cron, zone: AMSTERDAM, nextAt: new Date(`${nextAt}Z`) };
  const found = dueTimes(row, wholePolicy(policy), new Date(`${now}Z`));
  return {
    due: found.due.map(text),
    missed: found.skipped.map(({ time }) => text(time)),
    next: text(found.next),
    reasons: found.skipped.map(({ reason }) => reason),
  };
}

test("what is on time is due, whatever is to become of missed times", () => {
  for (const catchup of ["none", "one", "all"] as const) {
    for (const now of ["2026-11-24T08:00:00", "2026-11-24T08:00:59.999"]) {
      const found = due("0 9 * * 2", { nextAt: "2026-11-24T08:00", now, catchup });
      assert.deepEqual([found.due, found.missed, found.next], [["2026-11-24T08:00"], [], "2026-12-01T08:00"]);
    }
  }
  const early = due("0 9 * * 2", { nextAt: "2026-11-24T08:00", now: "2026-11-24T07:59:59.999" });
  assert.deepEqual([early.due, early.next], [[], "2026-11-24T08:00"]);
});

test("after three days in which nothing ran, none, one or all within the window are made up, and each other tick has its reason", () => {
  const down = { nextAt: "2026-11-19T08:00", now: "2026-11-22T12:00:30" };
  const times = ["2026-11-19T08:00", "2026-11-20T08:00", "2026-11-21T08:00", "2026-11-22T08:00"];
  const next = "2026-11-23T08:00";
  const made = (policy: { catchup?: "none" | "one" | "all"; window?: string }) => {
    const found = due("0 9 * * *", { ...down, ...policy });
    assert.equal(found.next, next);
    assert.deepEqual([...found.missed, ...found.due], times);
    return found;
  };
  assert.equal(made({ catchup: "all" }).due.length, 1, "24 hours unless another window is said");
  assert.equal(made({ catchup: "all", window: "2d" }).due.length, 2);
  assert.deepEqual(made({ catchup: "all", window: "7d" }).due, times);
  const one = made({});
  assert.deepEqual(one.due, times.slice(-1));
  assert.equal(one.reasons[0], 'Missed while nothing ran, by 3d 4h; catchup is "one", and a later one is made up.');
  assert.deepEqual(made({ catchup: "one", window: "1h" }).due, []);
  const none = made({ catchup: "none" });
  assert.deepEqual(none.due, []);
  assert.equal(none.reasons.at(-1), 'Missed while nothing ran, by 4h 30s; catchup is "none", up to 1m.');
  assert.deepEqual(made({ catchup: "none", window: "5h" }).due, times.slice(-1));
});

test("a long absence of a schedule of every minute costs no long thought, and is told in ten ticks", () => {
  const began = performance.now();
  const years = { nextAt: "2024-11-22T12:00", now: "2026-11-22T12:00:30" };
  const one = due("* * * * *", years);
  assert.deepEqual(
    [one.due, one.missed.at(-1), one.missed.length, one.next],
    [["2026-11-22T12:00"], "2026-11-22T11:59", 10, "2026-11-22T12:01"],
  );
  assert.match(one.reasons[0]!, /So were those before it, since 2024-11-22T12:00:00.000Z\.$/);
  assert.doesNotMatch(one.reasons[1]!, /before it/);
  const all = due("* * * * *", { ...years, catchup: "all", window: "30d" });
  assert.deepEqual([all.due.length, all.due[0], all.due.at(-1)], [1500, "2026-11-21T11:01", "2026-11-22T12:00"]);
  assert.match(all.reasons[0]!, /catchup is "all", 1500 at most\. So were those before it/);
  const rare = due("0 9 1 1 *", { ...years, catchup: "all", window: "1000d" });
  assert.deepEqual(
    [rare.due, rare.next],
    [["2024-11-22T12:00", "2025-01-01T08:00", "2026-01-01T08:00"], "2027-01-01T08:00"],
  );
  assert.ok(performance.now() - began < 10_000, "a million minutes were looked at one by one");
});

test("a schedule that never fires again is done; one without cron fires once, however late", () => {
  const never = { cron: "0 9 * * *", zone: AMSTERDAM, nextAt: null };
  assert.deepEqual(dueTimes(never, wholePolicy({}), new Date()), { due: [], skipped: [], next: null });
  const at = new Date("2026-11-22T12:00:00Z");
  const once = { cron: null, zone: AMSTERDAM, nextAt: at };
  const soon = new Date(+at - 1);
  assert.deepEqual(dueTimes(once, wholePolicy({}), soon), { due: [], skipped: [], next: at });
  const years = new Date("2029-01-01T00:00:00Z");
  assert.deepEqual(dueTimes(once, wholePolicy({ catchup: "none" }), years), { due: [at], skipped: [], next: null });
});

const minute = (place: number) => new Date(Date.UTC(2026, 10, 22, 12, place));

/** What is planned at 12:05 for a schedule of every minute that was to fire at `from`. */
function plan(
  policy: Parameters<typeof wholePolicy>[0],
  at: { from: number; busy: boolean; held?: number; waited?: boolean },
) {
  const row = {
    ...{ cron: "* * * * *", zone: "UTC", nextAt: minute(at.from) },
    heldAt: at.held === undefined ? null : minute(at.held),
  };
  const found = planTicks(row, wholePolicy(policy), { busy: at.busy, waited: at.waited ?? false, now: minute(5) });
  const place = (time: Date | null) => time?.getUTCMinutes() ?? null;
  return {
    fire: found.fire.map(place),
    skipped: found.skipped.map(({ time }) => place(time)),
    held: place(found.held),
    next: place(found.next),
    cancel: found.cancel,
  };
}

test("a tick that overlaps is skipped, waits its turn alone, runs beside, or takes the older run's place", () => {
  const rest = { skipped: [], held: null, next: 6, cancel: false };
  for (const overlap of ["skip", "queue", "allow", "cancel"] as const) {
    assert.deepEqual(plan({ overlap }, { from: 5, busy: false }), { ...rest, fire: [5] }, overlap);
  }
  const busy = { from: 5, busy: true };
  assert.deepEqual(plan({ overlap: "skip" }, busy), { ...rest, fire: [], skipped: [5] });
  assert.deepEqual(plan({ overlap: "allow" }, busy), { ...rest, fire: [5] });
  assert.deepEqual(plan({ overlap: "queue" }, busy), { ...rest, fire: [], held: 5 });
  assert.deepEqual(plan({ overlap: "queue" }, { ...busy, held: 3 }), { ...rest, fire: [], held: 3, skipped: [5] });
  assert.deepEqual(plan({ overlap: "queue" }, { from: 6, busy: false, held: 3 }), { ...rest, fire: [3] });
  assert.deepEqual(plan({ overlap: "queue" }, { from: 5, busy: false, held: 3 }), { ...rest, fire: [3], held: 5 });
  assert.deepEqual(plan({ overlap: "cancel" }, busy), { ...rest, fire: [], held: 5, cancel: true });
  assert.deepEqual(plan({ overlap: "cancel" }, { ...busy, held: 3 }), {
    ...rest,
    fire: [],
    held: 5,
    skipped: [3],
    cancel: true,
  });
  assert.deepEqual(plan({ overlap: "cancel" }, { from: 6, busy: false, held: 5 }), { ...rest, fire: [5] });
});

test("with catchup all, missed ticks are made up one after another, and none is lost to the overlap", () => {
  const all = { catchup: "all" } as const;
  assert.deepEqual(plan(all, { from: 1, busy: false }), { fire: [1], skipped: [], held: null, next: 2, cancel: false });
  assert.deepEqual(plan(all, { from: 2, busy: true }), { fire: [], skipped: [], held: null, next: 2, cancel: false });
  assert.deepEqual(plan(all, { from: 5, busy: true }).skipped, [5], "on time, and the run before is slow");
  assert.deepEqual(plan(all, { from: 5, busy: true, waited: true }).next, 5, "the last of those that were missed");
  assert.deepEqual(plan({ ...all, overlap: "allow" }, { from: 2, busy: true }).fire, [2, 3, 4, 5]);
  assert.deepEqual(plan({ ...all, overlap: "queue" }, { from: 1, busy: false }), {
    ...{ fire: [1], skipped: [], held: 2, next: 3, cancel: false },
  });
});

test("jitter is a hash of the name: within its span, the same each time, and spread", () => {
  const policy = wholePolicy({ jitter: "5m" });
  const of = (name: string) => jitterOf(name, policy);
  assert.equal(of("report/weekly"), of("report/weekly"));
  const all = Array.from({ length: 1000 }, (_, place) => of(`report/number-${place}`));
  assert.ok(all.every((each) => each >= 0 && each <= 300_000));
  const parts = Map.groupBy(all, (each) => Math.floor(each / 30_001));
  for (let part = 0; part < 10; part++) assert.ok((parts.get(part)?.length ?? 0) > 50, `part ${part}`);
  assert.equal(jitterOf("report/weekly", wholePolicy({})), 0);
  assert.throws(() => wholePolicy({ jitter: "five" }), { code: "duration.invalid" });
  assert.throws(() => wholePolicy({ window: "a day" }), { code: "duration.invalid" });
});

test("in spring a time that the clocks leave out is fired at the change, once", () => {
  // 29 March 2026: after 01:59:59 comes 03:00:00, which is 01:00 UTC.
  const day = { nextAt: "2026-03-28T01:30", now: "2026-03-30T12:00" };
  assert.deepEqual(due("30 2 * * *", { ...day, catchup: "all", window: "5d" }).due, [
    "2026-03-28T01:30",
    "2026-03-29T01:00",
    "2026-03-30T00:30",
  ]);
  const hours = { nextAt: "2026-03-28T23:00", now: "2026-03-29T03:00", catchup: "all" as const, window: "5d" };
  assert.equal(due("0 * * * *", hours).due.length, 5, "every hour of the clock on the wall that there is");
});

test("in autumn a time that comes twice is fired once, and what comes each hour comes each hour", () => {
  // 25 October 2026: after 02:59:59 comes 02:00:00 again; 03:00 is 02:00 UTC.
  const day = { nextAt: "2026-10-24T00:30", now: "2026-10-26T12:00" };
  assert.deepEqual(due("30 2 * * *", { ...day, catchup: "all", window: "5d" }).due, [
    "2026-10-24T00:30",
    "2026-10-25T00:30",
    "2026-10-26T01:30",
  ]);
  const hours = { nextAt: "2026-10-24T22:00", now: "2026-10-25T03:00", catchup: "all" as const, window: "5d" };
  assert.deepEqual(due("0 * * * *", hours).due.length, 6);
  assert.equal(due("30 2 * * *", { nextAt: "2026-10-25T00:30", now: "2026-10-25T01:45" }).next, "2026-10-26T01:30");
});
