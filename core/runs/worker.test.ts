import assert from "node:assert/strict";
import { test } from "node:test";
import { testEngine } from "../test/engine.ts";

test("cancel reaches a waiting and a running run, whose step is told", async (t) => {
  const seen: string[] = [];
  const works = Promise.withResolvers<void>();
  const engine = await testEngine(t, {
    long: {
      run: async ({ step }) =>
        await step.run("work", (signal) => {
          works.resolve();
          return new Promise((resolve) => signal.addEventListener("abort", () => resolve(seen.push("aborted"))));
        }),
    },
    sleeper: { run: async ({ step }) => await step.sleep("night", "1h") },
  });
  const [long, sleeper] = [await engine.send("long"), await engine.send("sleeper")];
  await works.promise;
  await engine.until(sleeper, "waiting");
  await engine.runs.cancel(long);
  await engine.runs.cancel(sleeper);
  assert.equal((await engine.until(long)).status, "canceled");
  assert.equal((await engine.until(sleeper)).status, "canceled");
  assert.deepEqual(seen, ["aborted"]);
  assert.deepEqual(await engine.runs.cancel(long), { done: false, status: "canceled" });
});

test("STOP cancels what runs, claims nothing, and can be released", async (t) => {
  const engine = await testEngine(t, {
    long: { run: async ({ step }) => await step.run("work", () => new Promise(() => {})) },
    quick: { run: async () => "quick" },
  });
  const long = await engine.send("long");
  await engine.until(long, "running");
  await engine.runs.setStopped(true);
  assert.equal((await engine.until(long)).status, "canceled");
  const quick = await engine.send("quick");
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await engine.until(quick, "queued");
  await engine.runs.setStopped(false);
  assert.equal((await engine.until(quick)).result, "quick");
});

test("of one key only so many run at a time, of others as many as there is room for", async (t) => {
  const busy = new Map<string, number>();
  const most = new Map<string, number>();
  const engine = await testEngine(t, {
    keyed: {
      concurrency: { key: "customer", limit: 2 },
      run: async ({ event, step }) => {
        const customer = String(event.data.customer);
        busy.set(customer, (busy.get(customer) ?? 0) + 1);
        most.set(customer, Math.max(most.get(customer) ?? 0, busy.get(customer)!));
        await step.run("work", () => new Promise((resolve) => setTimeout(resolve, 30)));
        busy.set(customer, busy.get(customer)! - 1);
      },
    },
  });
  const ids = await Promise.all(
    ["ann", "bob"].flatMap((customer) => Array.from({ length: 8 }, () => engine.send("keyed", { customer }))),
  );
  for (const id of ids) assert.equal((await engine.until(id)).status, "completed");
  assert.deepEqual([most.get("ann"), most.get("bob")], [2, 2]);
});

test("the next run of a key begins when the one before it has ended, not when its worker looks around", async (t) => {
  let done = 0;
  const engine = await testEngine(t, { keyed: { concurrency: { limit: 1 }, run: async () => ++done } });
  const ids = await Promise.all(Array.from({ length: 50 }, () => engine.send("keyed")));
  await engine.until(ids.sort().at(-1)!);
  assert.equal(done, 50);
});

test("a run of higher priority goes first", async (t) => {
  const order: string[] = [];
  const note = (name: string) => async () => void order.push(name);
  const engine = await testEngine(
    t,
    { low: { run: note("low") }, high: { run: note("high"), priority: 5 } },
    { concurrency: 1, idle: true },
  );
  const ids = [await engine.send("low"), await engine.send("low"), await engine.send("high")];
  await engine.runs.start();
  t.after(() => engine.runs.stop(100));
  for (const id of ids) await engine.until(id);
  assert.deepEqual(order, ["high", "low", "low"]);
});

test("a worker that lost its lease writes nothing over its successor", async (t) => {
  const at = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  let executions = 0;
  const engine = await testEngine(t, {
    slow: {
      run: async ({ step }) => {
        const mine = executions++;
        return await step.run("work", () => {
          at[mine]!.resolve();
          return work[mine]!.promise;
        });
      },
    },
  });
  const id = await engine.send("slow");
  await at[0]!.promise;
  await engine.database.query("update runs set status = 'queued', claim = claim + 1, worker = null where id = $1", [
    id,
  ]);
  await engine.database.query("select pg_notify('daimon_runs', '')");
  await at[1]!.promise;
  work[0]!.resolve("from the frozen one");
  await new Promise((resolve) => setTimeout(resolve, 100));
  work[1]!.resolve("from the successor");
  const run = await engine.until(id);
  assert.equal(run.result, "from the successor");
  assert.deepEqual(
    run.steps.map((step) => step.value),
    ["from the successor"],
  );
});

test("a graceful stop waits for what is under way, and hands back what does not end", async (t) => {
  const [shortWorks, longWorks] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = Promise.withResolvers<string>();
  const engine = await testEngine(
    t,
    {
      short: {
        run: async ({ step }) =>
          await step.run("work", () => {
            shortWorks.resolve();
            return work.promise;
          }),
      },
      long: {
        run: async ({ step }) =>
          await step.run("work", () => {
            longWorks.resolve();
            return new Promise(() => {});
          }),
      },
    },
    { idle: true },
  );
  const [short, long] = [await engine.send("short"), await engine.send("long")];
  await engine.runs.start();
  await Promise.all([shortWorks.promise, longWorks.promise]);
  const stopped = engine.runs.stop(1000);
  work.resolve("done");
  await stopped;
  assert.equal((await engine.until(short)).result, "done");
  assert.equal((await engine.until(long, "queued")).status, "queued");
});
