import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createSchedules } from "../../schedules/schedules.ts";
import { pauseSchedule } from "../../store/schedules.ts";
import { keepRun, testConsole } from "../../test/console.ts";

const WEEKLY = "/api/schedules/report%2Fweekly";
const POLICY = JSON.stringify({
  ...{ catchup: "one", window: "7d", overlap: "skip", jitter: "5m", onFailure: { after: 1 }, onRecovery: true },
});

/** A console with `report/weekly`, which a capability brought, and the real room behind it. */
async function testSchedules(t: TestContext) {
  const house = await testConsole(t, {
    actions: {
      fireSchedule: async (name) => ({ eventId: `evt of ${name}`, runIds: ["run_1"], duplicate: false }),
      pauseSchedule: (name, paused) => pauseSchedule(house.database, name, { paused, nextAt: null, dueAt: null }),
      schedules: {
        preview: (...given) => room().preview(...given),
        add: (...given) => room().add(...given),
        change: (...given) => room().change(...given),
        remove: (...given) => room().remove(...given),
      },
    },
  });
  const room = () => createSchedules({ ...house, zone: "Europe/Amsterdam", agents: () => ["default", "reporter"] });
  await house.database.query(
    `insert into schedules (name, origin, description, cron, zone, policy, next_at, last_at, created_at)
     values ('report/weekly', 'code', 'Tuesdays', '0 9 * * 2', 'Europe/Amsterdam', $1, '2026-11-24T08:00:00Z', '2026-11-17T08:00:00Z', '2026-11-01')`,
    [POLICY],
  );
  const send = async (method: string, path: string, body: unknown) => {
    const response = await house.ask(method, path, { body });
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown> & { error: { code: string; message: string } },
    };
  };
  return { ...house, send };
}

test("a schedule shows its policy, its next five times in its zone, and what the next clock change does", async (t) => {
  const house = await testSchedules(t);
  const { items, next } = await house.json<{ items: Record<string, unknown>[]; next: null }>("/api/schedules");
  assert.equal(next, null);
  const { createdAt, jitterMs, ...item } = items[0]!;
  assert.ok(createdAt && (jitterMs as number) > 0);
  assert.deepEqual(item, {
    ...{ name: "report/weekly", origin: "code", description: "Tuesdays", cron: "0 9 * * 2", zone: "Europe/Amsterdam" },
    ...{ agent: null, text: null, label: { integrity: "trusted", privacy: "private" } },
    ...JSON.parse(POLICY),
    nextAt: "2026-11-24T08:00:00.000Z",
    next: [24, 31, 38, 45, 52].map((day) => new Date(Date.UTC(2026, 10, day, 8)).toISOString()),
    clockChange: "On 28 March 2027 clocks skip 02:00 to 03:00: nothing changes here.",
    ...{ lastAt: "2026-11-17T08:00:00.000Z", heldAt: null, paused: false, failures: 0, done: false },
  });
  assert.deepEqual((await house.json(WEEKLY)).name, "report/weekly");
  assert.equal((await house.ask("GET", "/api/schedules/none")).status, 404);
});

test("schedules come in pages, by name", async (t) => {
  const house = await testSchedules(t);
  for (const name of ["b", "a"])
    await house.send("POST", "/api/schedules", { when: "every day at 9", text: name, name });
  const first = await house.json<{ items: { name: string }[]; next: string }>("/api/schedules?limit=2");
  assert.deepEqual([first.items.map(({ name }) => name), first.next], [["a", "b"], "b"]);
  const second = await house.json<{ items: { name: string }[]; next: null }>("/api/schedules?cursor=b");
  assert.deepEqual([second.items.map(({ name }) => name), second.next], [["report/weekly"], null]);
});

test("a schedule is made with words, changed, paused and removed; one of code is only paused", async (t) => {
  const house = await testSchedules(t);
  const made = await house.send("POST", "/api/schedules", {
    ...{ when: "every tuesday 9:00", text: "Write the weekly brief", agent: "reporter", catchup: "all", jitter: "5m" },
  });
  assert.equal(made.status, 201);
  const { name, cron, agent, window, next, origin } = made.body;
  assert.deepEqual(
    [name, cron, agent, window, origin],
    ["write-the-weekly-brief", "0 9 * * 2", "reporter", "24h", "owner"],
  );
  assert.equal((next as string[])[0], "2026-11-24T08:00:00.000Z");

  const path = `/api/schedules/${name}`;
  const changed = await house.send("PATCH", path, { when: "every friday at 17:00", zone: "UTC", catchup: "none" });
  assert.deepEqual([changed.body.cron, changed.body.zone, changed.body.window], ["0 17 * * 5", "UTC", "1m"]);
  assert.equal(changed.body.text, "Write the weekly brief");
  assert.equal((await house.send("PATCH", path, { paused: true })).body.paused, true);
  assert.equal((await house.ask("DELETE", path)).status, 204);
  assert.equal((await house.ask("DELETE", path)).status, 404);

  assert.equal((await house.send("PATCH", WEEKLY, { paused: true })).body.paused, true);
  for (const refused of [
    await house.send("PATCH", WEEKLY, { when: "every day at 9" }),
    await house.send("DELETE", WEEKLY, {}),
  ]) {
    assert.deepEqual([refused.status, refused.body.error.code], [409, "schedule.code"]);
  }
});

test("what cannot be is refused with a sentence before anything is made", async (t) => {
  const house = await testSchedules(t);
  const refused = async (wish: object, status: number, message: RegExp) => {
    const { body, ...answer } = await house.send("POST", "/api/schedules", {
      when: "every day at 9",
      text: "x",
      ...wish,
    });
    assert.equal(answer.status, status, JSON.stringify(body));
    assert.match(body.error.message, message);
  };
  await refused({ when: "0 9 30 2 *" }, 400, /"0 9 30 2 \*" names no time that ever comes/);
  await refused({ when: "next tuesday at 9" }, 400, /can be two days/);
  await refused({ zone: "Mars/Base" }, 400, /"Mars\/Base" is not an IANA time zone/);
  await refused({ agent: "nobody" }, 404, /There is no agent "nobody"/);
  await refused({ text: "" }, 400, /"text": must not be empty/);
  await refused({ jitter: "some" }, 400, /"some" is not a duration/);
  await refused({ overlap: "wait" }, 400, /overlap/);
  await refused({ name: "report/weekly" }, 400, /small letters/);
  await house.send("POST", "/api/schedules", { when: "every day at 9", text: "x", name: "mine" });
  await refused({ name: "mine" }, 409, /There is a schedule "mine" already/);
  const { items } = await house.json<{ items: { name: string }[] }>("/api/schedules");
  assert.deepEqual(
    items.map(({ name }) => name),
    ["mine", "report/weekly"],
  );
});

test("a reminder is a moment; a preview shows times, the clock change and what is moved, and makes nothing", async (t) => {
  const house = await testSchedules(t);
  const { body } = await house.send("POST", "/api/schedules", { when: "tomorrow at 9", text: "Call Ana!" });
  assert.deepEqual(
    [body.name, body.cron, body.nextAt, body.next, body.done],
    ["call-ana", null, "2026-11-23T08:00:00.000Z", ["2026-11-23T08:00:00.000Z"], false],
  );
  const again = await house.send("POST", "/api/schedules", { when: "in 20 minutes", text: "Call Ana" });
  assert.equal(again.body.name, "call-ana-2");
  await house.database.query("update schedules set next_at = null, last_at = now() where name = 'call-ana'");
  assert.equal((await house.json("/api/schedules/call-ana")).done, true);

  const gap = await house.send("POST", "/api/schedules/previews", { when: "2027-03-28 02:30" });
  assert.equal(gap.status, 200);
  assert.match(gap.body.note as string, /does not exist.*it is 03:00/);
  const dst = await house.send("POST", "/api/schedules/previews", {
    when: "every day at 2:30",
    zone: "America/New_York",
  });
  assert.equal((dst.body.next as string[]).length, 5);
  assert.match(
    dst.body.clockChange as string,
    /^On 14 March 2027 clocks skip 02:00 to 03:00: what is for 02:30 fires at 03:00/,
  );
  assert.equal((await house.json<{ items: unknown[] }>("/api/schedules")).items.length, 3);
});

test("its ticks are told with nominal and real time, how late they were, and what became of them", async (t) => {
  const house = await testSchedules(t);
  await house.database.query(
    `insert into events (id, source, type, key, received_at, time, data, outcome, reason, integrity, privacy) values
     ('evt_1', 'schedule', 'report/weekly', 'a', '2026-11-10T08:00:01Z', '2026-11-10T08:00:00Z', '{"late": 1000}', 'dispatched', null, 'trusted', 'private'),
     ('evt_2', 'schedule', 'report/weekly', 'b', '2026-11-18T08:00:00Z', '2026-11-17T08:00:00Z', '{"late": 86400000}', 'skipped', 'Missed.', 'trusted', 'private'),
     ('evt_3', 'schedule', 'report/weekly', 'c/manual', '2026-11-18T09:00:00Z', '2026-11-18T09:00:00Z', '{}', 'dispatched', null, 'trusted', 'private')`,
  );
  const run = await keepRun(house.database, "evt_1", { handler: "schedule:report/weekly" });
  const { items } = await house.json<{ items: Record<string, unknown>[] }>(`${WEEKLY}/ticks`);
  assert.deepEqual(
    items.map(({ id, lateMs, manual, outcome, reason, runs }) => [id, lateMs, manual, outcome, reason, runs]),
    [
      ["evt_3", 0, true, "dispatched", null, []],
      ["evt_2", 86_400_000, false, "skipped", "Missed.", []],
      ["evt_1", 1000, false, "dispatched", null, [{ id: run, status: "completed" }]],
    ],
  );
  assert.deepEqual([items[1]!.nominal, items[1]!.firedAt], ["2026-11-17T08:00:00.000Z", "2026-11-18T08:00:00.000Z"]);
});

test("a schedule is fired by its whole name", async (t) => {
  const house = await testSchedules(t);
  const fired = await house.send("POST", `${WEEKLY}/runs`, {});
  assert.deepEqual([fired.status, fired.body], [202, { eventId: "evt of report/weekly", runIds: ["run_1"] }]);
  assert.equal((await house.send("POST", "/api/schedules/report%2Fnone/runs", {})).status, 404);
  assert.equal((await house.send("PATCH", WEEKLY, { paused: "yes" })).status, 400);
});
