import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLive } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import type { Database } from "../store/database.ts";
import { fileFailedRuns, openIssues } from "../store/issues.ts";
import { findIssueDetail } from "../store/views/issues.ts";
import { keepEvent, keepRun, testClock } from "../test/console.ts";
import { testDatabase } from "../test/database.ts";
import { createWatch, type Watched } from "./watch.ts";

const HOUR = 3_600_000;

async function testWatch(t: TestContext, watched: Watched[] = []) {
  const { database } = await testDatabase(t);
  const clock = testClock();
  const live = createLive();
  const changes: string[] = [];
  live.subscribe(({ kind, id }) => changes.push(`${kind} ${id}`));
  const told: string[] = [];
  const tell = async (_: Database, text: string) => () => void told.push(text);
  const open = () => createWatch({ database, clock, live, log: openLog({}), watched: () => watched, tell });
  const watch = open();
  const issues = () =>
    database.query<{ id: string; kind: string; about: string; title: string; status: string; count: number }>(
      "select id, kind, about, title, status, count from issues order by about",
    );
  /** Each source's event comes in at the clock's time. */
  const send = async (source: string, data: unknown, type = "order") =>
    await keepEvent(database, { source, type, data, minutes: (clock.now().getTime() - Date.parse(NOON)) / 60_000 });
  return {
    ...{ database, clock, watch, open, told, changes, issues, send, watched },
    async titles() {
      return (await issues()).map(({ title, status }) => `${status}: ${title}`);
    },
  };
}
const NOON = "2026-11-22T12:00:00Z";

test("silence is told once when nothing came for too long, and is over when something comes", async (t) => {
  const house = await testWatch(t, [
    { about: "stripe", every: 6 * HOUR, ready: true },
    { about: "github", every: null, ready: true },
  ]);
  const other = house.open();
  await house.watch.look();
  house.clock.advance(2 * HOUR);
  const seen = await house.send("stripe", {});
  house.clock.advance(6 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.issues(), []);
  house.clock.advance(1);
  await Promise.all([house.watch.look(), other.look(), house.watch.look()]);
  await other.look();
  const [issue] = await house.issues();
  assert.deepEqual(await house.titles(), ["open: Nothing from stripe for 6 hours; expected every 6 hours."]);
  assert.equal(issue!.count, 1);
  assert.equal(house.told.length, 1);
  assert.match(
    house.told[0]!,
    /^Issue: Nothing from stripe for 6 hours; expected every 6 hours\. \(stripe; daimon issues show iss_/,
  );
  assert.ok(house.changes.includes(`issue ${issue!.id}`));
  house.clock.advance(20 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.titles(), ["open: Nothing from stripe for 26 hours; expected every 6 hours."]);
  assert.deepEqual((await findIssueDetail(house.database, issue!.id))!.detail, { lastAt: "2026-11-22T14:00:00.000Z" });
  await house.send("stripe", {});
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
  house.clock.advance(7 * HOUR);
  await house.watch.look();
  assert.equal(house.told.length, 2);
  assert.match(house.told[1]!, /came back after 7 hours/);
  assert.ok(seen);
});

test("silence counts from when a source was set up, and not while it is paused, without a secret, or removed", async (t) => {
  const house = await testWatch(t, [{ about: "stripe", every: 6 * HOUR, ready: false }]);
  await house.watch.look();
  house.clock.advance(100 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.issues(), []);
  house.watched[0] = { about: "stripe", every: 6 * HOUR, ready: true };
  house.clock.advance(5 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.issues(), []);
  house.clock.advance(2 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.titles(), ["open: Nothing from stripe for 7 hours; expected every 6 hours."]);
  house.watched[0] = { about: "stripe", every: 6 * HOUR, ready: false };
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
  house.watched[0] = { about: "stripe", every: 6 * HOUR, ready: true };
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
  house.watched.length = 0;
  await house.watch.look();
  house.clock.advance(50 * HOUR);
  house.watched.push({ about: "stripe", every: 6 * HOUR, ready: true });
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
});

test("an owner who closes a silence is left in peace until it has lasted as long again", async (t) => {
  const house = await testWatch(t, [{ about: "stripe", every: 6 * HOUR, ready: true }]);
  await house.watch.look();
  house.clock.advance(7 * HOUR);
  await house.watch.look();
  const [issue] = await house.issues();
  assert.equal(await house.watch.close(issue!.id, "ada"), true);
  house.clock.advance(5 * HOUR);
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
  house.clock.advance(2 * HOUR);
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^open/);
  assert.equal(await house.watch.close("iss_00000000000000000000000000", "ada"), false);
});

test("a schedule is silent when no run of it completed for too long, though it fires", async (t) => {
  const house = await testWatch(t, [{ about: "schedule:reports/weekly", every: 24 * HOUR, ready: true }]);
  const fire = async (status: string) => {
    const event = await house.send("schedule", {}, "reports/weekly");
    const run = await keepRun(house.database, event, { status, handler: "schedule:reports/weekly" });
    await house.database.query("update runs set finished_at = $2 where id = $1", [run, house.clock.now()]);
  };
  await house.watch.look();
  house.clock.advance(20 * HOUR);
  await fire("completed");
  house.clock.advance(20 * HOUR);
  await fire("failed");
  await house.watch.look();
  assert.deepEqual(await house.issues(), []);
  house.clock.advance(20 * HOUR);
  await house.watch.look();
  assert.deepEqual(await house.titles(), [
    "open: reports/weekly completed nothing for 40 hours; expected every 24 hours.",
  ]);
  await fire("completed");
  await house.watch.look();
  assert.match((await house.titles())[0]!, /^closed/);
});

const ORDER = { customer: { email: "ada@example.com" }, total: 3 };

/** A watch that knows the shape of five orders. */
async function learned(t: TestContext) {
  const house = await testWatch(t, [{ about: "shop", every: null, ready: true }]);
  await house.watch.look();
  for (let n = 0; n < 5; n++) {
    house.clock.advance(1000);
    await house.send("shop", { ...ORDER, total: n });
  }
  await house.watch.look();
  const send = async (...orders: unknown[]) => {
    const ids: string[] = [];
    for (const order of orders) {
      house.clock.advance(1000);
      ids.push(await house.send("shop", order));
    }
    await house.watch.look();
    return ids;
  };
  return { ...house, send };
}

test("a payload that lost a path is an issue with the difference in words and the two samples", async (t) => {
  const house = await learned(t);
  const [before] = await house.send({ ...ORDER, note: "new paths are learned in silence" });
  assert.deepEqual(await house.issues(), []);
  const [after] = await house.send({ customer: {}, total: "3" });
  const [issue] = await house.issues();
  assert.deepEqual(
    [issue!.kind, issue!.about, issue!.title],
    ["shape", "shop order", "shop order: data.total was a number, is now text (and 1 more)"],
  );
  const { detail } = (await findIssueDetail(house.database, issue!.id))!;
  assert.deepEqual(detail, {
    source: "shop",
    type: "order",
    differences: [
      { path: "data.total", was: ["a number"], now: ["text"] },
      { path: "data.customer.email", was: ["text"], now: [] },
    ],
    before,
    after,
  });
  await house.send({ customer: {}, total: "4" });
  const [more] = await house.issues();
  assert.deepEqual([more!.id, more!.count, house.told.length], [issue!.id, 2, 1]);
});

test("a shape that the owner accepts is the known one, and what changes from it is told again", async (t) => {
  const house = await learned(t);
  await house.send({ customer: {}, total: "3" });
  const [issue] = await house.issues();
  await house.watch.close(issue!.id, "ada");
  await house.send({ customer: {}, total: "3" }, ORDER);
  assert.equal((await house.issues())[0]!.status, "closed");
  await house.send({ customer: [], total: "3" });
  assert.deepEqual(await house.titles(), ["open: shop order: data.customer was an object, is now a list"]);
});

test("a path that comes again is known to come and go: the issue closes by itself, and opens no more", async (t) => {
  const house = await learned(t);
  await house.send({ customer: {}, total: 3 });
  assert.equal((await house.issues())[0]!.status, "open");
  await house.send(ORDER);
  assert.equal((await house.issues())[0]!.status, "closed");
  await house.send({ customer: {}, total: 3 });
  assert.equal((await house.issues())[0]!.status, "closed");
  assert.equal(house.told.length, 1);
});

test("no event is looked at twice, by a second clock or after a restart; of very many the newest are", async (t) => {
  const house = await learned(t);
  await house.send({ customer: {}, total: 3 });
  await house.open().look();
  await Promise.all([house.open().look(), house.watch.look()]);
  assert.equal((await house.issues())[0]!.count, 1);
  await house.send(...[...Array(250)].map(() => ({ customer: {}, total: 3 })));
  assert.equal((await house.issues())[0]!.count, 101);
});

test("what is not JSON, too large, or of no source that is installed has no shape", async (t) => {
  const house = await learned(t);
  await keepEvent(house.database, { source: "shop", type: "order", minutes: 60, body: Buffer.from("{{{") });
  await keepEvent(house.database, {
    source: "shop",
    type: "order",
    minutes: 61,
    body: Buffer.from(JSON.stringify({ long: "x".repeat(300_000) })),
  });
  await keepEvent(house.database, { source: "stranger", type: "order", minutes: 62, data: {} });
  await house.watch.look();
  assert.deepEqual(await house.issues(), []);
  assert.deepEqual(await house.database.query("select source from shapes"), [{ source: "shop" }]);
});

test("the owner is told once of many that open at the same time, and not again for each failure", async (t) => {
  const house = await testWatch(t);
  const causes = [...Array(7)].map(
    (_, n) => ({ kind: "failure", about: `h${n}`, fingerprint: "x", title: "T", count: 1 }) as const,
  );
  for (const cause of causes) await openIssues(house.database, [cause]);
  // These have no runs, and would close at once.
  const run = await keepRun(house.database, await keepEvent(house.database), { status: "failed" });
  await house.database.query("update issues set about = 'channel:' || about");
  await house.database.transaction((inside) =>
    fileFailedRuns(inside, [{ id: run, error: { code: "a.b", message: "It is broken" } }]),
  );
  await house.watch.look();
  await house.watch.look();
  assert.equal(house.told.length, 1);
  const lines = house.told[0]!.split("\n");
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [7, "Issues:", "- And 3 more: daimon issues list"]);
});

test("a failing schedule tells of itself, so its issues are there and not told again", async (t) => {
  const weekly = { about: "schedule:reports/weekly", every: 24 * HOUR, ready: true };
  const house = await testWatch(t, [weekly]);
  await house.watch.look();
  const event = await house.send("schedule", {}, "reports/weekly");
  const run = await keepRun(house.database, event, { status: "failed", handler: weekly.about });
  await house.database.transaction((inside) =>
    fileFailedRuns(inside, [{ id: run, error: { code: "a.b", message: "It is broken" } }]),
  );
  house.watched[0] = { ...weekly, failing: true };
  house.clock.advance(25 * HOUR);
  await house.watch.look();
  assert.deepEqual((await house.issues()).map(({ kind, status }) => `${kind} ${status}`).sort(), [
    "failure open",
    "silence open",
  ]);
  assert.deepEqual(house.told, []);
});
