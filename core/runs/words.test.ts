import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "../base/log.ts";
import { OWNER, STRANGER } from "../define/label.ts";
import { testEngine } from "../test/engine.ts";

test("a step that is done at most once is not done again when a crash leaves it open, unless a person says so", async (t) => {
  let sent = 0;
  const engine = await testEngine(
    t,
    { post: { run: ({ step }) => step.run("send", () => ++sent, { once: true }) } },
    { idle: true },
  );
  const id = await engine.send("post");
  // As a process leaves it that is killed within the step.
  await engine.database.query("update runs set claim = 1 where id = $1", [id]);
  await engine.database.query(
    `insert into steps (run_id, key, kind, status, attempt, started_at) values ($1, 'send', 'code', 'started', 1, now())`,
    [id],
  );
  await engine.runs.start();
  t.after(() => engine.runs.stop(500));
  const { status, error } = await engine.until(id);
  assert.deepEqual([status, error!.code, sent], ["failed", "step.unknown", 0]);
  await engine.runs.retry(id);
  assert.deepEqual([(await engine.until(id, "completed")).result, sent], [1, 1]);
});

test("a step that is done at most once says before each try that it begins, and failed ones are tried again", async (t) => {
  const begun: unknown[] = [];
  const engine = await testEngine(t, {
    post: {
      run: async ({ step }) =>
        await step.run(
          "send",
          async () => {
            begun.push(await engine.database.query("select status from steps where key = 'send'"));
            if (begun.length === 1) throw new Error("busy");
            return "sent";
          },
          { once: true },
        ),
    },
  });
  const run = await engine.until(await engine.send("post"));
  assert.equal(run.result, "sent");
  assert.deepEqual(begun, [[{ status: "started" }], [{ status: "started" }]]);
});

test("what an untrusted step fetched marks the run, and what it emits after it", async (t) => {
  const engine = await testEngine(t, {
    fetch: {
      run: async ({ step, emit }) => {
        const before = await emit({ source: "test", type: "before", data: {} });
        await step.run("ask", () => "strangers", { untrusted: true });
        return [before, await emit({ source: "test", type: "after", data: {} })];
      },
    },
  });
  const { runIds } = await engine.runs.dispatch({ source: "test", type: "fetch", data: {}, label: OWNER });
  const run = await engine.until(runIds[0]!);
  const labels = await engine.database.query("select type, integrity from events where id = any($1) order by id", [
    run.result,
  ]);
  assert.deepEqual(labels, [
    { type: "before", integrity: "trusted" },
    { type: "after", integrity: "untrusted" },
  ]);
});

test("the last event before the run's own is found by type and data, and no later one", async (t) => {
  const engine = await testEngine(
    t,
    {
      look: {
        run: async ({ step }) => {
          const found = await step.lastEvent("last", { source: "test", type: "tick", where: { of: "a" } });
          const none = await step.lastEvent("none", { source: "test", type: "never" });
          return [(found!.data as { n: number }).n, none];
        },
      },
    },
    { idle: true },
  );
  const keep = (type: string, data: object) => engine.runs.dispatch({ source: "test", type, data, label: STRANGER });
  await keep("tick", { n: 1, of: "a" });
  await keep("tick", { n: 2, of: "a" });
  await keep("tick", { n: 3, of: "b" });
  const id = await engine.send("look");
  await keep("tick", { n: 4, of: "a" });
  await engine.runs.start();
  t.after(() => engine.runs.stop(500));
  const run = await engine.until(id);
  assert.deepEqual(run.result, [2, null]);
  assert.equal(
    (await engine.database.query<{ integrity: string }>("select integrity from runs where id = $1", [id]))[0]!
      .integrity,
    "untrusted",
  );
});

test("an address is the public one, and without it the run says what to set", async (t) => {
  const where = { where: { run: async ({ address }: { address(source: string): string }) => address("youtube") } };
  const known = await testEngine(t, where, {
    services: () => ({ log: openLog({}), publicUrl: "https://daimon.example/" }) as never,
  });
  assert.equal((await known.until(await known.send("where"))).result, "https://daimon.example/hooks/youtube");
  const unknown = await testEngine(t, where);
  assert.equal((await unknown.until(await unknown.send("where"))).error!.code, "address.missing");
});
