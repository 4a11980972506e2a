import assert from "node:assert/strict";
import { test } from "node:test";
import type { Database } from "../store/database.ts";
import { pause, releaseHeld, resume } from "../store/held.ts";
import { testDatabase } from "../test/database.ts";
import { dispatcher, event, later, runsIn } from "../test/held.ts";

test("a burst that is gathered while its trigger is paused waits, and then for its turn", async (t) => {
  const { database } = await testDatabase(t);
  const dispatch = dispatcher(database, { debounce: { key: "of", delay: "1s" }, rate: { limit: 1, per: "1h" } });
  await pause(database, "trigger:a/b");
  for (const n of [0, 1, 2]) await dispatch.one(event(n, { of: n % 2 }));
  const kinds = async () => (await runsIn(database)).map((run) => [run.status, run.waiting?.kind]);
  assert.deepEqual(await kinds(), [
    ["waiting", "debounce"],
    ["waiting", "debounce"],
  ]);
  await releaseHeld(database, later(5000));
  assert.deepEqual(await kinds(), [
    ["waiting", "paused"],
    ["waiting", "paused"],
  ]);
  await resume(database, "trigger:a/b");
  assert.deepEqual(await kinds(), [
    ["queued", undefined],
    ["waiting", "rate"],
  ]);
  await pause(database, "source:test");
  assert.deepEqual(await kinds(), [
    ["waiting", "paused"],
    ["waiting", "paused"],
  ]);
  await resume(database, "source:test");
  assert.deepEqual(await kinds(), [
    ["queued", undefined],
    ["waiting", "rate"],
  ]);
});

/** A database whose process dies before the statement number `most` of what it is asked for: nothing of it is committed. */
function dyingAfter(database: Database, most: number): Database {
  let asked = 0;
  const dying = (inside: Database): Database => ({
    ...inside,
    query: (text, values, name) => {
      if (asked++ >= most) throw new Error("kill -9");
      return inside.query(text, values, name);
    },
    transaction: (work) => inside.transaction((within) => work(dying(within))),
  });
  return dying(database);
}

test("kill -9 between any two statements loses no event of a burst, no turn and nobody who waits", async (t) => {
  const held = { debounce: { key: "of", delay: "1s" }, rate: { limit: 1, per: "1h" } };
  const { database } = await testDatabase(t);
  /** Does it until it dies nowhere, each time one statement further. */
  const doing = async (work: (database: Database) => Promise<unknown>) => {
    for (let most = 0; ; most++) {
      const died = await work(dyingAfter(database, most)).then(
        () => false,
        (error) => /kill -9/.test(String(error)) || Promise.reject(error),
      );
      if (!died) return assert.ok(most > 1, "it takes more than one statement");
    }
  };
  const states = async () => (await runsIn(database)).map((run) => [run.status, run.waiting?.kind ?? null, run.events]);
  for (const n of [0, 1, 2]) await doing((dying) => dispatcher(dying, held).one(event(n, { of: n % 2 })));
  assert.deepEqual(await states(), [
    ["waiting", "debounce", [0, 2]],
    ["waiting", "debounce", [1]],
  ]);
  await doing((dying) => pause(dying, "source:test"));
  await doing((dying) => releaseHeld(dying, later(5000)));
  assert.deepEqual(await states(), [
    ["waiting", "paused", [0, 2]],
    ["waiting", "paused", [1]],
  ]);
  await doing((dying) => resume(dying, "source:test"));
  assert.deepEqual(await states(), [
    ["queued", null, [0, 2]],
    ["waiting", "rate", [1]],
  ]);
  assert.deepEqual(await database.query("select from pauses"), []);
});
