import assert from "node:assert/strict";
import { test } from "node:test";
import { STRANGER } from "../define/label.ts";
import type { Database } from "../store/database.ts";
import { handBack, takeOver } from "../store/processes.ts";
import { cancelRun } from "../store/runs.ts";
import { testDatabase } from "../test/database.ts";
import { type TestHandler, testEngine } from "../test/engine.ts";

/** The database as a worker sees it whose statements of this name wait for `before`. */
function delayed(database: Database, name: string, before: () => Promise<unknown>): Database {
  const query: Database["query"] = async (text, values, named) => {
    if (named === name) await before();
    return await database.query(text, values, named);
  };
  return { ...database, query };
}

test("a run that is canceled in the moment in which it falls asleep does not sleep on", async (t) => {
  const { database } = await testDatabase(t);
  const handlers: Record<string, TestHandler> = {
    sleeper: { run: async ({ step }) => await step.sleep("night", "1h") },
    failing: {
      retry: { attempts: 3, delays: [3_600_000] },
      run: async () => {
        throw new Error("as it should");
      },
    },
  };
  const worker = delayed(database, "release-runs", async () => {
    for (const { id } of await database.query<{ id: string }>("select id from runs")) await cancelRun(database, id);
  });
  const engine = await testEngine(t, handlers, { database: worker, heart: database });
  for (const type of ["sleeper", "failing"]) {
    const run = await engine.until(await engine.send(type), "waiting", "canceled");
    assert.deepEqual([run.status, run.wakeAt], ["canceled", null], type);
  }
});

test("a canceled run whose worker is gone ends there: nobody carries it on", async (t) => {
  const engine = await testEngine(t, { work: { run: async () => "done" } }, { idle: true });
  const { database } = engine;
  const begun = async (worker: string) => {
    const id = await engine.send("work");
    await database.query("update runs set status = 'running', worker = $2, claim = 1 where id = $1", [id, worker]);
    await cancelRun(database, id);
    return id;
  };
  const [orphan, returned] = [await begun("prc_gone"), await begun("prc_leaving")];
  await handBack(database, "prc_leaving");
  assert.deepEqual(await takeOver(database, 1000), [orphan]);
  for (const id of [orphan, returned]) {
    const rows = await database.query("select status, worker, finished_at is null as open from runs where id = $1", [
      id,
    ]);
    assert.deepEqual(rows, [{ status: "canceled", worker: null, open: false }]);
  }
});

test("a run that is claimed before its worker has heard of STOP is canceled with the others", async (t) => {
  const { database } = await testDatabase(t);
  const long: TestHandler = { run: async ({ step }) => await step.run("work", () => new Promise(() => {})) };
  const engine = await testEngine(t, { long }, { database, leaseMilliseconds: 8000 });
  const event = { source: "test", type: "long", data: {}, label: STRANGER };
  const { runIds } = await engine.runs.dispatch(event);
  await engine.until(runIds[0]!, "running");
  // Another process says it, and its word is lost on the way.
  await database.query("insert into switches (name, value) values ('stop', 'true')");
  assert.equal((await engine.until(runIds[0]!)).status, "canceled");
});

test("a canceled run waits for nothing any more", async (t) => {
  const waiter: TestHandler = {
    run: async ({ wait }) => await wait("answer", { source: "test", type: "answer" }, "1h"),
  };
  const engine = await testEngine(t, { waiter });
  const id = await engine.send("waiter");
  await engine.until(id, "waiting");
  await engine.runs.cancel(id);
  assert.equal((await engine.until(id)).status, "canceled");
  assert.deepEqual(await engine.database.query("select step from waits"), []);
});
