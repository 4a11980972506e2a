import assert from "node:assert/strict";
import { test } from "node:test";
import { clockChange } from "./clock-change.ts";
import { nextTime, nextTimes } from "./cron.ts";

/** The next times after a moment of UTC, as `MM-DD HH:MM` of UTC. */
const after = (cron: string, zone: string, from: string, most: number) =>
  nextTimes(cron, zone, new Date(`${from}:00Z`), most).map((time) => time.toISOString().slice(5, 16).replace("T", " "));

/**
 * The semantics of cron(8) (Vixie) that croner 11 has with `fixedTimeRule: "no-wildcard"`: a time of day that the clocks
 * leave out runs at the change, one that comes twice runs once, and what has a wildcard runs whenever clocks show it.
 */
const GOLDEN: readonly [what: string, zone: string, cron: string, from: string, times: readonly string[]][] = [
  // Europe/Amsterdam: 28 March 2027 02:00 to 03:00 (01:00 UTC); 25 October 2026 03:00 to 02:00 (01:00 UTC).
  [
    "gap, one time",
    "Europe/Amsterdam",
    "30 2 * * *",
    "2027-03-27T00:00",
    ["03-27 01:30", "03-28 01:00", "03-29 00:30"],
  ],
  [
    "gap, two hours",
    "Europe/Amsterdam",
    "30 2,14 * * *",
    "2027-03-27T14:00",
    ["03-28 01:00", "03-28 12:30", "03-29 00:30"],
  ],
  [
    "gap, every hour",
    "Europe/Amsterdam",
    "0 * * * *",
    "2027-03-27T23:30",
    ["03-28 00:00", "03-28 01:00", "03-28 02:00"],
  ],
  ["gap, a wildcard minute", "Europe/Amsterdam", "*/20 2 * * *", "2027-03-27T12:00", ["03-29 00:00", "03-29 00:20"]],
  [
    "gap, every second minute of some, which is no wildcard",
    "Europe/Amsterdam",
    "10-30/20 2 * * *",
    "2027-03-27T12:00",
    ["03-28 01:00", "03-29 00:10", "03-29 00:30"],
  ],
  [
    "overlap, the same",
    "Europe/Amsterdam",
    "10-30/20 2 * * *",
    "2026-10-24T12:00",
    ["10-25 00:10", "10-25 00:30", "10-26 01:10"],
  ],
  ["overlap, one time", "Europe/Amsterdam", "30 2 * * *", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]],
  [
    "overlap, two hours",
    "Europe/Amsterdam",
    "30 2,14 * * *",
    "2026-10-24T13:00",
    ["10-25 00:30", "10-25 13:30", "10-26 01:30"],
  ],
  [
    ...(["overlap, a wildcard minute", "Europe/Amsterdam", "*/20 2 * * *", "2026-10-24T12:00"] as const),
    ["10-25 00:00", "10-25 00:20", "10-25 00:40", "10-25 01:00", "10-25 01:20", "10-25 01:40", "10-26 01:00"],
  ],
  [
    ...(["overlap, every half hour", "Europe/Amsterdam", "*/30 * * * *", "2026-10-24T23:45"] as const),
    ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"],
  ],
  // America/New_York: 14 March 2027 02:00 to 03:00 (07:00 UTC); 1 November 2026 02:00 to 01:00 (06:00 UTC).
  ["gap", "America/New_York", "15 2 * * *", "2027-03-13T12:00", ["03-14 07:00", "03-15 06:15"]],
  ["overlap", "America/New_York", "30 1 * * *", "2026-10-31T12:00", ["11-01 05:30", "11-02 06:30"]],
  // Australia/Lord_Howe moves by half an hour: 4 October 2026 02:00 to 02:30 (3 October 15:30 UTC); 4 April 2027 02:00 to
  // 01:30 (3 April 15:00 UTC).
  ["gap of half an hour", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00", ["10-03 15:30", "10-04 15:15"]],
  ["overlap of half an hour", "Australia/Lord_Howe", "45 1 * * *", "2027-04-03T00:00", ["04-03 14:45", "04-04 15:15"]],
  // Half hours from UTC, and no changes.
  ["no changes", "Asia/Kolkata", "30 2 * * *", "2027-03-27T00:00", ["03-27 21:00", "03-28 21:00"]],
  ["no changes", "UTC", "30 2 * * *", "2027-03-27T12:00", ["03-28 02:30", "03-29 02:30"]],
  // The calendar.
  ["29 February", "UTC", "0 9 29 2 *", "2026-11-22T00:00", ["02-29 09:00", "02-29 09:00"]],
  [
    "the last day of the month",
    "Europe/Amsterdam",
    "0 18 L * *",
    "2027-01-15T00:00",
    ["01-31 17:00", "02-28 17:00", "03-31 16:00"],
  ],
  ["the last Friday", "UTC", "0 17 * * 5L", "2027-01-15T00:00", ["01-29 17:00", "02-26 17:00"]],
  ["the second Tuesday", "UTC", "0 9 * * 2#2", "2026-11-22T00:00", ["12-08 09:00", "01-12 09:00"]],
  [
    ...(["day of the month or day of the week", "UTC", "0 9 13 * 5", "2026-11-11T00:00"] as const),
    ["11-13 09:00", "11-20 09:00", "11-27 09:00", "12-04 09:00", "12-11 09:00", "12-13 09:00"],
  ],
];

for (const [what, zone, cron, from, times] of GOLDEN) {
  test(`${cron} in ${zone}, ${what}: ${times.join(", ")} of UTC`, () => {
    assert.deepEqual(after(cron, zone, from, times.length), times);
  });
}

test("29 February comes in 2028 and 2032; 30 February never", () => {
  const years = nextTimes("0 9 29 2 *", "UTC", new Date("2026-11-22T00:00:00Z"), 2).map((time) =>
    time.getUTCFullYear(),
  );
  assert.deepEqual(years, [2028, 2032]);
  assert.equal(nextTime("0 9 30 2 *", "UTC", new Date("2026-11-22T00:00:00Z")), null);
});

test("what is no cron and no zone is refused with a sentence", () => {
  assert.throws(() => nextTime("0 9 * *", "UTC", new Date()), { code: "cron.invalid" });
  assert.throws(() => nextTime("0 0 9 * * *", "UTC", new Date()), { code: "cron.invalid" });
  assert.throws(() => nextTime("0 9 * * 2", "Europe/Amstredam", new Date()), { code: "cron.zone" });
});

test("what the next change of the clocks does is told in a sentence, and it is what happens", () => {
  const change = (cron: string, zone: string, from: string) => clockChange(cron, zone, new Date(from))?.text;
  const winter = "2026-11-22T12:00:00Z";
  const summer = "2026-09-01T12:00:00Z";
  const spring = "On 28 March 2027 clocks skip 02:00 to 03:00";
  const autumn = "On 25 October 2026 clocks go back from 03:00 to 02:00";
  assert.equal(change("30 2 * * *", "Europe/Amsterdam", winter), `${spring}: what is for 02:30 fires at 03:00.`);
  assert.equal(
    change("0,30 2 * * *", "Europe/Amsterdam", winter),
    `${spring}: what is for 02:00 and 02:30 fires at 03:00.`,
  );
  assert.equal(change("0 9 * * *", "Europe/Amsterdam", winter), `${spring}: nothing changes here.`);
  assert.equal(change("0 * * * *", "Europe/Amsterdam", winter), `${spring}: 02:00 is left out, and the next is 03:00.`);
  assert.match(change("*/20 2 * * *", "Europe/Amsterdam", winter)!, /02:00, 02:20 and 02:40 are left out/);
  assert.equal(
    change("30 2 * * *", "Europe/Amsterdam", summer),
    `${autumn}: 02:30 comes twice and fires once, the first time.`,
  );
  assert.equal(
    change("*/20 2 * * *", "Europe/Amsterdam", summer),
    `${autumn}: 02:00, 02:20 and 02:40 come twice and fire twice.`,
  );
  assert.match(
    change("* * * * *", "Europe/Amsterdam", summer)!,
    /02:00, 02:01 and so on until 02:59 come twice and fire twice/,
  );
  assert.match(
    change("15 2 * * *", "Australia/Lord_Howe", summer)!,
    /^On 4 October 2026 clocks skip 02:00 to 02:30: what is for 02:15 fires at 02:30/,
  );
  assert.match(
    change("45 1 * * *", "Australia/Lord_Howe", winter)!,
    /^On 4 April 2027 clocks go back from 02:00 to 01:30: 01:45 comes twice and fires once/,
  );
  assert.match(
    change("30 1 * * *", "America/New_York", summer)!,
    /^On 1 November 2026 clocks go back from 02:00 to 01:00: 01:30 comes twice and fires once/,
  );
  assert.equal(change("30 2 * * *", "Asia/Kolkata", winter), undefined);
  assert.equal(change("30 2 * * *", "UTC", winter), undefined);
});
