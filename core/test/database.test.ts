import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "./database.ts";

test("each test has a migrated database of its own", async (t) => {
  const started = performance.now();
  const one = await testDatabase(t);
  const between = performance.now();
  const two = await testDatabase(t);
  t.diagnostic(
    `first ${Math.round(between - started)} ms, next ${Math.round(performance.now() - between)} ms`,
  );
  await one.database.query("insert into switches (name, value) values ('here', 'true')");
  assert.deepEqual(await one.database.query("select name from switches"), [{ name: "here" }]);
  assert.deepEqual(await two.database.query("select name from switches"), []);
});
