import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWhen } from "./when.ts";

const AMSTERDAM = "Europe/Amsterdam";
/** Sunday 22 November 2026, 13:30 in Amsterdam. */
const NOW = new Date("2026-11-22T12:30:00Z");

const cron = (words: string, zone = AMSTERDAM) => {
  const when = parseWhen(words, { zone, now: NOW });
  return "cron" in when ? when.cron : when.at.toISOString();
};
/** The moment as clocks in Amsterdam show it in winter, an hour ahead of UTC. */
const at = (words: string, now = NOW) => {
  const when = parseWhen(words, { zone: AMSTERDAM, now });
  assert.ok("at" in when, `${words} is cron ${"cron" in when && when.cron}`);
  return when.at.toISOString().slice(0, 16);
};
const refused = (words: string, expected: RegExp, now = NOW) =>
  assert.throws(
    () => parseWhen(words, { zone: AMSTERDAM, now }),
    (error: Error & { next?: string }) => {
      assert.match(`${error.message} ${error.next}`, expected, words);
      return true;
    },
  );

test("what comes again is read as cron", () => {
  const forms = {
    "0 9 * * 2": "0 9 * * 2",
    "*/15 8-18 * * MON-FRI": "*/15 8-18 * * MON-FRI",
    "every minute": "* * * * *",
    "every 5 minutes": "*/5 * * * *",
    "every hour": "0 * * * *",
    "Every 6 hours": "0 */6 * * *",
    "every day at 9:00": "0 9 * * *",
    "every day at 9": "0 9 * * *",
    "daily at 7.30": "30 7 * * *",
    "every day at 9pm": "0 21 * * *",
    "every day at 12:15 am": "15 0 * * *",
    "every day at noon": "0 12 * * *",
    "every weekday at 17:30": "30 17 * * 1-5",
    "weekdays at 8": "0 8 * * 1-5",
    "every weekend at 10": "0 10 * * 0,6",
    "every tuesday 9:00": "0 9 * * 2",
    "tuesdays at 9": "0 9 * * 2",
    "on Mondays and Thursdays at 8:15": "15 8 * * 1,4",
    "every Tuesday at 09:00.": "0 9 * * 2",
    "each mon, wed and fri at 8:15": "15 8 * * 1,3,5",
    hourly: "0 * * * *",
    "every tues and thurs at 8": "0 8 * * 2,4",
    "every mon-wed at 9": "0 9 * * 1,2,3",
    "every friday to monday at 9": "0 9 * * 5,6,0,1",
    "every 24th of december at 9": "0 9 24 12 *",
    "every month on the 1st at 9:00": "0 9 1 * *",
    "every 15th of the month at 9:00": "0 9 15 * *",
    "every month on the last day at 18:00": "0 18 L * *",
    "every last day of the month at 18:00": "0 18 L * *",
    "every first monday of the month at 9:00": "0 9 * * 1#1",
    "every month on the second tuesday at 9:00": "0 9 * * 2#2",
    "every last friday of the month at 17:00": "0 17 * * 5L",
    "every year on 24 December at 18:00": "0 18 24 12 *",
    "every december 24 at 18:00": "0 18 24 12 *",
    "every 29 february at 9:00": "0 9 29 2 *",
  };
  for (const [words, expected] of Object.entries(forms)) assert.equal(cron(words), expected, words);
});

test("one moment is read in the owner's zone", () => {
  const forms = {
    "in 20 minutes": "2026-11-22T12:50",
    "in an hour": "2026-11-22T13:30",
    "in half an hour": "2026-11-22T13:00",
    "in 1h30m": "2026-11-22T14:00",
    "in 2 hours and 5 minutes": "2026-11-22T14:35",
    "in 3 days": "2026-11-25T12:30",
    "in 1 week": "2026-11-29T12:30",
    "today at 18:00": "2026-11-22T17:00",
    "at 18:00": "2026-11-22T17:00",
    "6pm": "2026-11-22T17:00",
    "tomorrow at 9": "2026-11-23T08:00",
    "Tomorrow 9:15": "2026-11-23T08:15",
    "tomorrow at noon": "2026-11-23T11:00",
    "the day after tomorrow at 8am": "2026-11-24T07:00",
    "tuesday at 9": "2026-11-24T08:00",
    "on saturday at 10:30": "2026-11-28T09:30",
    "this friday at 10": "2026-11-27T09:00",
    "2026-12-24 18:00": "2026-12-24T17:00",
    "2026-12-24T18:00": "2026-12-24T17:00",
    "2026-12-24T18:00Z": "2026-12-24T18:00",
    "2026-12-24T18:00:00-05:00": "2026-12-24T23:00",
    "24 December at 18:00": "2026-12-24T17:00",
    "on December 24th at 6 pm": "2026-12-24T17:00",
    "1 February 9:00": "2027-02-01T08:00",
    "3 March 2028 at 9:00": "2028-03-03T08:00",
  };
  for (const [words, expected] of Object.entries(forms)) assert.equal(at(words), expected, words);
});

test("what could be two times, is over, or never comes is refused with what to write", () => {
  refused("sunday at 9", /can be two days\. Write "2026-11-22 09:00" or "2026-11-29 09:00"/);
  refused("next tuesday at 9", /can be two days\. Write "2026-11-24 09:00" or "2026-12-01 09:00"/);
  refused("03/04 at 9:00", /can be two days\. Write the month as a word/);
  refused("9:00", /It is past 09:00 today\. Write "tomorrow at 09:00"/);
  refused("today at 13:30", /It is past 13:30 today/);
  refused("tomorrow", /at what time\?/);
  refused("every tuesday", /At what time every tuesday\?/);
  refused("tonight", /not understood/);
  refused("2026-11-20 9:00", /is over: it was 20 November 2026, 09:00/);
  refused("30 february at 9:00", /There is no 30 February 2027/);
  refused("2027-02-29 9:00", /There is no 29 February 2027/);
  refused("2027-02-29T09:00Z", /There is no 29 February 2027/);
  refused("2027-13-01T09:00+01:00", /names no month/);
  refused("2027-01-01T25:00Z", /is no time/);
  refused("every 30 february at 9:00", /names no time that ever comes/);
  refused("0 9 30 2 *", /names no time that ever comes/);
  refused("every 7 minutes", /does not divide an hour evenly/);
  refused("every blue moon at 9", /not understood\. Write it like "every tuesday at 9:00"/);
  refused("tomorrow at 25:00", /no time of day/);
  refused("tomorrow at 13pm", /no time of day/);
  refused("in a bit", /not understood/);
  refused("in 99999999999999 minutes", /is no time/);
  refused("in 8640000000000 days", /is no time/);
  refused("in 2 months", /not understood/);
  refused("soon", /not understood/);
  refused("", /not understood/);
  assert.throws(() => parseWhen("every day at 9", { zone: "Mars/Base", now: NOW }), { code: "cron.zone" });
});

test("a time that the clocks leave out is moved to the change, and one that comes twice is the first: both are said", () => {
  const gap = parseWhen("2027-03-28 02:30", { zone: AMSTERDAM, now: NOW });
  assert.deepEqual(gap, {
    at: new Date("2027-03-28T01:00:00Z"),
    note: "02:30 on 28 March 2027 does not exist, because clocks skip 02:00 to 03:00: it is 03:00.",
  });
  const summer = new Date("2026-09-01T12:00:00Z");
  const twice = parseWhen("2026-10-25 02:30", { zone: AMSTERDAM, now: summer });
  assert.deepEqual(twice, {
    at: new Date("2026-10-25T00:30:00Z"),
    note: "02:30 on 25 October 2026 comes twice, because clocks go back: the first is taken.",
  });
  // A day later is the same time of day, though it is 25 hours away.
  const eve = new Date("2026-10-24T10:00:00Z");
  assert.equal(at("in 1 day", eve), "2026-10-25T11:00");
  assert.equal(at("in 24 hours", eve), "2026-10-25T10:00");
  assert.equal(at("tomorrow at 12:00", eve), "2026-10-25T11:00");
  const lordHowe = parseWhen("2027-10-03 02:15", { zone: "Australia/Lord_Howe", now: NOW });
  assert.match("note" in lordHowe ? lordHowe.note! : "", /skip 02:00 to 02:30: it is 02:30/);
});
