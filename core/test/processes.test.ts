import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { testDatabase } from "./database.ts";
import { type DaimonProcess, readServer, testSystem, until } from "./system.ts";

const LEASE_MILLISECONDS = 2000;
const SHORT_LEASE = { DAIMON_LEASE_MS: `${LEASE_MILLISECONDS}` };

const CAPABILITY = `
import { defineCapability, defineSchedule, defineTrigger, defineWebhook } from "daimon";

const { appendFileSync, existsSync } = process.getBuiltinModule("node:fs");
const did = (of: string, name: string) => {
  appendFileSync(process.env.DAIMON_HOME + "/effects", JSON.stringify({ of, name, pid: process.pid }) + "\\n");
  return process.pid;
};
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default defineCapability({
  name: "shop",
  description: "Three steps, a message and a result, each by the process that made it.",
  webhooks: [
    defineWebhook({
      source: "shop",
      verify: { scheme: "hmac", algorithm: "sha256", encoding: "hex", header: "x-signature", secret: "SHOP_SECRET" },
      type: [{ data: "type" }],
      key: { data: "n" },
    }),
  ],
  triggers: [
    defineTrigger<{ pause: number; freeze: boolean }>({
      name: "order",
      on: { source: "shop", type: "order" },
      run: async ({ event, step, send }) => {
        await step.run("take", () => did(event.id, "take"));
        if (event.data.freeze && !existsSync(process.env.DAIMON_HOME + "/frozen")) {
          appendFileSync(process.env.DAIMON_HOME + "/frozen", "");
          process.kill(process.pid, "SIGSTOP");
        }
        const pid = await step.run("pack", async () => {
          did(event.id, "pack");
          await pause(event.data.pause);
          return process.pid;
        });
        await step.run("ship", () => did(event.id, "ship"));
        await send({ text: "Packed by " + pid });
        return pid;
      },
    }),
  ],
  schedules: [
    defineSchedule({
      name: "tick",
      cron: "* * * * *",
      zone: "UTC",
      catchup: "all",
      overlap: "allow",
      run: async ({ event, step }) => await step.run("tick", () => did(event.key, "tick")),
    }),
  ],
  secrets: [{ name: "SHOP_SECRET", description: "Signs orders" }],
});
`;

interface Effect {
  readonly of: string;
  readonly name: string;
  readonly pid: number;
}

interface RunRow {
  readonly id: string;
  readonly event_id: string;
  readonly status: string;
  readonly claim: number;
  readonly result: number | null;
  readonly worker: string | null;
  readonly messages: number;
  readonly steps: { key: string; status: string; value: number }[];
}

/** A web and nothing else yet, on a database of its own. */
async function testShop(t: TestContext, environment: Record<string, string> = {}) {
  const { database, url } = await testDatabase(t);
  const system = testSystem(t, { DATABASE_URL: url, SHOP_SECRET: "shop", ...environment });
  system.install("shop", { "index.ts": CAPABILITY });
  await system.start("web");
  const file = join(system.home, "effects");
  let n = 0;
  return {
    ...{ system, database },
    effects: (): Effect[] =>
      existsSync(file)
        ? readFileSync(file, "utf8")
            .split("\n")
            .filter(Boolean)
            .map((line) => JSON.parse(line))
        : [],
    async order(count: number, pause: number, freeze = false): Promise<string[]> {
      const { url: address } = readServer(system.home);
      const ids = Array.from({ length: count }, async () => {
        const body = JSON.stringify({ type: "order", n: ++n, pause, freeze });
        const headers = { "x-signature": createHmac("sha256", "shop").update(body).digest("hex") };
        const answer = await fetch(`${address}/hooks/shop`, { method: "POST", body, headers });
        assert.equal(answer.status, 202);
        return ((await answer.json()) as { id: string }).id;
      });
      return await Promise.all(ids);
    },
    runs: async (eventIds: readonly string[]) =>
      await database.query<RunRow>(
        `select id, event_id, status, claim, result, worker, (select count(*) from messages where run_id = r.id) as messages,
           (select json_agg(s order by finished_at, key) from steps s where run_id = r.id) as steps
         from runs r where event_id = any($1) order by id`,
        [eventIds],
      ),
    workers: async () =>
      (await database.query<{ id: string }>("select id from processes where 'worker' = any(roles) order by id")).map(
        ({ id }) => id,
      ),
  };
}

type Shop = Awaited<ReturnType<typeof testShop>>;

async function completed(shop: Shop, orders: readonly string[]): Promise<RunRow[]> {
  return await until("all runs are completed", async () => {
    const runs = await shop.runs(orders);
    return runs.length === orders.length && runs.every(({ status }) => status === "completed") && runs;
  });
}

/** One result, one message and one row of each step, all by one and the same hand. */
function assertWhole(run: RunRow): void {
  assert.deepEqual(
    run.steps.map(({ key, status }) => [key, status]),
    [
      ["take", "completed"],
      ["pack", "completed"],
      ["ship", "completed"],
      ["send", "completed"],
    ],
  );
  assert.deepEqual([run.messages, run.result], [1, run.steps[1]!.value]);
}

test("two workers on one database carry each run once, and share the work", async (t) => {
  const shop = await testShop(t);
  const workers = await Promise.all([shop.system.start("worker"), shop.system.start("worker")]);
  const orders: string[] = [];
  for (let wave = 0; wave < 10; wave++) orders.push(...(await shop.order(30, 20)));
  const runs = await completed(shop, orders);
  for (const run of runs) {
    assertWhole(run);
    assert.equal(run.claim, 1);
  }
  const done = Map.groupBy(shop.effects(), ({ of, name }) => `${of} ${name}`);
  assert.equal(done.size, 3 * orders.length);
  for (const [what, times] of done) assert.equal(times.length, 1, what);
  const shares = workers.map(({ pid }) => runs.filter((run) => run.result === pid).length);
  console.log(`300 runs, shared as ${shares.join(" and ")}`);
  assert.ok(shares.every((share) => share > 0));
});

test("a worker that is killed has its runs taken over within the lease", async (t) => {
  const shop = await testShop(t, SHORT_LEASE);
  const doomed = await shop.system.start("worker");
  const orders = await shop.order(20, 60_000);
  await until("all are being packed", () => shop.effects().filter(({ name }) => name === "pack").length === 20);
  await shop.system.start("worker");
  await doomed.kill();
  const killed = performance.now();
  await until("all have been taken over by the other one", async () => {
    const workers = await shop.workers();
    const runs = await shop.runs(orders);
    return workers.length === 1 && runs.every((run) => run.status === "running" && run.worker === workers[0]);
  });
  console.log(`20 runs taken over ${Math.round(performance.now() - killed)} ms after kill -9; the lease is 2000 ms`);
  assert.ok(performance.now() - killed < 5 * LEASE_MILLISECONDS);
  const times = Map.groupBy(shop.effects(), ({ name }) => name);
  assert.equal(times.get("take")!.length, 20, "what was kept is not done again");
  await until("all are being packed again", () => shop.effects().filter(({ name }) => name === "pack").length >= 40);
});

test("a worker that freezes past its lease writes nothing over its successor, and works on under a new name", async (t) => {
  const shop = await testShop(t, SHORT_LEASE);
  const sleepy = await shop.system.start("worker");
  const [oldName] = await shop.workers();
  const orders = await shop.order(20, 1000);
  await until("all are being packed", () => shop.effects().filter(({ name }) => name === "pack").length === 20);
  sleepy.freeze();
  const other = await shop.system.start("worker");
  const finished = await completed(shop, orders);
  for (const run of finished) {
    assertWhole(run);
    assert.equal(run.result, other.pid);
  }
  sleepy.thaw();
  await until("it has noticed", () =>
    shop.system.log().some(({ message }) => message.includes("longer than its lease")),
  );
  await until("it is back under a new name", async () => (await shop.workers()).length === 2);
  assert.ok(!(await shop.workers()).includes(oldName!));
  // Its steps have come to their ends by now, and found nothing to write.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.deepEqual(await shop.runs(orders), finished);
  for (const { event_id } of finished) {
    const [first, ...others] = shop.effects().filter(({ of, name }) => of === event_id && name === "pack");
    assert.deepEqual([first!.pid, [...new Set(others.map(({ pid }) => pid))]], [sleepy.pid, [other.pid]]);
  }

  await other.stop();
  const more = await completed(shop, await shop.order(20, 10));
  assert.deepEqual([...new Set(more.map(({ result }) => result))], [sleepy.pid]);
  assert.equal(sleepy.ended(), undefined);
});

test("a worker that freezes between two steps does not begin the second when it wakes: its successor has done it", async (t) => {
  const shop = await testShop(t, SHORT_LEASE);
  const sleepy = await shop.system.start("worker");
  const orders = await shop.order(1, 10, true);
  await until("it is frozen", () => existsSync(join(shop.system.home, "frozen")));
  const other = await shop.system.start("worker");
  const [run] = await completed(shop, orders);
  assert.equal(run!.result, other.pid);
  const done = shop.effects();
  sleepy.thaw();
  await until("it is back under a new name", async () => (await shop.workers()).length === 2);
  assert.deepEqual(shop.effects(), done);
});

test("two clocks on one database fire each minute once, though one is killed between", async (t) => {
  const shop = await testShop(t);
  await shop.system.start("worker");
  let clocks: DaimonProcess[] = await Promise.all([shop.system.start("clock"), shop.system.start("clock")]);
  const MINUTES = 100;
  // As if nothing had run: the table is set back, further each time; what has fired already is not fired again.
  for (const back of [10, 40, 70, MINUTES]) {
    await shop.database.query(
      `update schedules set next_at = date_trunc('minute', now()) - make_interval(mins => $1),
         due_at = date_trunc('minute', now()) - make_interval(mins => $1) where name = 'shop/tick'`,
      [back],
    );
    if (back === 40) await clocks[0]!.kill();
    await until("the table is up to date", async () => {
      const late = await shop.database.query("select from schedules where due_at <= now() - interval '5 seconds'");
      return late.length === 0;
    });
    if (back === 40) clocks = [clocks[1]!, await shop.system.start("clock")];
  }
  const events = await until("each has run", async () => {
    const found = await shop.database.query<{ time: Date; runs: number }>(
      `select time, (select count(*) from runs where event_id = e.id and status = 'completed') as runs from events e
       where source = 'schedule' order by time`,
    );
    return found.every(({ runs }) => runs > 0) && found;
  });
  console.log(`${events.length} ticks, each once`);
  assert.ok(events.length > MINUTES);
  for (const [place, { time, runs }] of events.entries()) {
    assert.equal(runs, 1);
    if (place > 0) assert.equal(time.getTime() - events[place - 1]!.time.getTime(), 60_000);
  }
  const done = Map.groupBy(shop.effects(), ({ of }) => of);
  assert.deepEqual([done.size, Math.max(...[...done.values()].map((times) => times.length))], [events.length, 1]);
});
