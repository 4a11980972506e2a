import assert from "node:assert/strict";
import { type AddressInfo, createServer, connect as reach, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../base/clock.ts";
import { newId } from "../base/ids.ts";
import { createLive } from "../base/live.ts";
import { openLog } from "../base/log.ts";
import { STRANGER } from "../define/label.ts";
import { connect, type Database, isAway, openLines } from "../store/database.ts";
import { testDatabase } from "../test/database.ts";
import { type TestHandler, testEngine } from "../test/engine.ts";
import { executeRun } from "./execute.ts";
import { Halt } from "./halt.ts";

test("a worker whose connections are all busy keeps its lease, and a long look around does not cost it", async (t) => {
  const { connection } = await testDatabase(t);
  const few = connect({ ...connection, connections: 1 });
  const heart = connect({ ...connection, connections: 1 });
  t.after(() => t.after(() => Promise.all([few.close(), heart.close()])));
  let times = 0;
  const engine = await testEngine(
    t,
    {
      greedy: {
        run: async ({ step }) =>
          await step.run("think", async () => {
            times++;
            await Promise.all([1, 2, 3].map(() => few.query("select pg_sleep(0.5)")));
            return "done";
          }),
      },
    },
    { database: few, heart, leaseMilliseconds: 600 },
  );
  const run = await engine.until(await engine.send("greedy"));
  assert.deepEqual([run.result, times], ["done", 1]);
});

test("a worker that is told to stop holds on to its runs until they are done, however long its lease is", async (t) => {
  let times = 0;
  const handlers = {
    long: {
      run: async ({ step }: { step: { run(name: string, code: () => Promise<string>): Promise<string> } }) =>
        await step.run("work", async () => {
          times++;
          await sleep(1500);
          return "done";
        }),
    },
  };
  const { database } = await testDatabase(t);
  const leaving = await testEngine(t, handlers, { database, leaseMilliseconds: 400, idle: true });
  await leaving.runs.start();
  const id = await leaving.send("long");
  await leaving.until(id, "running");
  const staying = await testEngine(t, handlers, { database, leaseMilliseconds: 400 });
  await leaving.runs.stop(10_000);
  const run = await staying.until(id);
  assert.deepEqual([run.status, run.result, times], ["completed", "done", 1]);
});

/** A database that is not reached while `isGone`. */
function fickle(database: Database, isGone: () => boolean): Database {
  const gone = connect({ host: "/nonexistent" });
  return {
    ...database,
    query: (...given) => (isGone() ? gone : database).query(...given),
    transaction: (work) => (isGone() ? gone : database).transaction(work),
  };
}

test("a database that is away for a moment costs a run no try, whatever it was about to do", async (t) => {
  const { database } = await testDatabase(t);
  let gone = false;
  const went = new Set<string>();
  const goAway = (whose: string) => {
    if (went.has(whose)) return;
    went.add(whose);
    gone = true;
    setTimeout(() => {
      gone = false;
    }, 300);
  };
  let done = 0;
  const once = { retry: { attempts: 1, delays: [] } };
  const engine = await testEngine(
    t,
    {
      emits: {
        ...once,
        run: async ({ step, emit }) => {
          await step.run("before", () => ++done);
          goAway("emits");
          await emit({ source: "test", type: "emitted", data: {} });
          return done;
        },
      },
      waits: {
        ...once,
        run: async ({ wait }) => {
          goAway("waits");
          return (await wait("for it", { source: "test", type: "emitted" }, "1s"))?.type ?? "nothing";
        },
      },
      keeps: {
        ...once,
        run: async ({ step }) => {
          goAway("keeps");
          return await step.run("work", () => ++done, { attempts: 1 });
        },
      },
    },
    { database: fickle(database, () => gone), heart: database },
  );
  const ended = async (type: string) => {
    const id = await engine.send(type);
    for (let tries = 1; ; tries++) {
      const run = await engine.until(id).catch((error: unknown) => {
        if (tries > 20 || !isAway(error)) throw error;
      });
      if (run) return run;
      await sleep(50);
    }
  };
  const emits = await ended("emits");
  assert.deepEqual([emits.status, emits.attempts, emits.result, done], ["completed", 0, 1, 1]);
  assert.equal((await database.query("select from events where type = 'emitted'")).length, 1);
  const waits = await ended("waits");
  assert.deepEqual([waits.status, waits.attempts, waits.result], ["completed", 0, "nothing"]);
  const keeps = await ended("keeps");
  assert.deepEqual([keeps.status, keeps.attempts, keeps.result, done], ["completed", 0, 2, 2]);
});

test("once a worker has stopped it begins nothing more, and leaves nothing running behind", async (t) => {
  let begun = 0;
  const handlers = {
    quick: {
      run: async () => {
        begun++;
        await sleep(15);
      },
    },
  };
  const { database } = await testDatabase(t);
  for (let pause = 0; pause < 12; pause += 2) {
    const engine = await testEngine(t, handlers, { database, concurrency: 5, idle: true });
    await Promise.all(Array.from({ length: 100 }, () => engine.send("quick")));
    await engine.runs.start();
    await sleep(pause);
    await engine.runs.stop(10_000);
    const before = begun;
    await sleep(100);
    assert.equal(begun, before, `stopped after ${pause} ms`);
    assert.deepEqual(await database.query("select from runs where status = 'running'"), []);
  }
  await testEngine(t, handlers, { database, concurrency: 100 });
  const open = "select from runs where status <> 'completed'";
  while ((await database.query(open)).length > 0) await sleep(20);
  assert.equal(begun, 600, "what was begun was finished");
});

test("a run that was lost before its turn came does not begin at all", async () => {
  let begun = false;
  const halt = new Halt();
  halt.now("lost");
  const label = { integrity: "trusted", privacy: "public" } as const;
  const event = { id: "evt_1", source: "test", type: "x", key: "1", time: new Date(), data: {}, problem: null, label };
  const run = {
    ...{ id: "run_1", handler: "x", version: "1", attempts: 0, maxAttempts: 1, delays: [], claim: 1, label, event },
    keyed: false,
    ...{
      limits: { turns: 1, usd: 1, minutes: 1 },
      usd: 0,
      startedAt: new Date(),
      workedMilliseconds: 0,
      events: [event],
    },
  };
  const handler = {
    ...{ name: "x", version: "1", retry: { attempts: 1, delays: [] }, limits: {}, priority: 0, secret: () => "" },
    run: async () => {
      begun = true;
    },
  };
  const written = await executeRun(run, handler, [], halt, {
    ...{ database: {} as Database, services: () => ({ log: openLog({}) }) as never, keepStep: async () => true },
    ...{ live: createLive(), clock: systemClock, allowed: run.limits, chance: () => 0 },
    presence: { holds: () => true, beat: async () => {} },
  });
  assert.deepEqual([written, begun], [null, false]);
});

/** A way to the server of `url` which, once it is `silent`, answers nothing on its connections and tells nobody so. */
async function swallowing(t: TestContext, url: string) {
  const { hostname, port, searchParams } = new URL(url);
  const host = searchParams.get("host");
  const [open, heard] = [new Set<Socket>(), new Set<Socket>()];
  const way = { silent: false, url: "" };
  const proxy = createServer((client) => {
    const server = host ? reach(join(host, `.s.PGSQL.${port || 5432}`)) : reach(Number(port), hostname);
    const isDead = () => way.silent || !heard.has(client);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      for (const all of [open, heard]) all.add(from.on("error", () => {}));
      from.on("data", (chunk) => isDead() || to.write(chunk)).on("close", () => isDead() || to.destroy());
    }
  });
  const close = () => {
    for (const socket of open) socket.destroy();
    proxy.close();
  };
  // Hooks run in the order they were registered: this one lets the worker stop first.
  t.after(() => t.after(close));
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const through = Object.assign(new URL(url), { hostname: "127.0.0.1", port: (proxy.address() as AddressInfo).port });
  through.searchParams.delete("host");
  return Object.assign(way, { url: through.href, forget: () => heard.clear() });
}

test("a database that falls silent is asked on new connections after a lease, and what waited for it is told that it is away", async (t) => {
  const { url } = await testDatabase(t);
  const way = await swallowing(t, url);
  const lines = openLines();
  const leaseMilliseconds = 600;
  const database = connect({ connectionString: way.url, stream: lines.stream });
  const patience = { query_timeout: leaseMilliseconds, connectionTimeoutMillis: leaseMilliseconds };
  const heart = connect({ connectionString: way.url, connections: 1, ...patience });
  t.after(() => t.after(() => Promise.all([database.close(), heart.close()])));
  const handlers: Record<string, TestHandler> = { quick: { run: async () => "done" } };
  const engine = await testEngine(t, handlers, { database, heart, leaseMilliseconds, onSilence: lines.breakOff });
  assert.equal((await engine.until(await engine.send("quick"))).result, "done");
  way.silent = true;
  const event = { source: "test", type: "quick", key: newId("evt"), data: {}, label: STRANGER };
  const told = engine.runs.dispatch(event).catch((thrown: unknown) => thrown);
  const error = await Promise.race([told, sleep(10_000, "nothing was said for 10 s", { ref: false })]);
  assert.ok(isAway(error), String(error));
  // What was open stays dead; whoever connects anew is served.
  way.forget();
  way.silent = false;
  let kept: { runIds: readonly string[] } | undefined;
  while (!kept) kept = await engine.runs.dispatch(event).catch(() => undefined);
  assert.equal((await engine.until(kept.runIds[0]!)).result, "done");
});
