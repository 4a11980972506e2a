import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "../base/log.ts";
import { createWatch } from "../issues/watch.ts";
import { fileFailedRuns, openIssues } from "../store/issues.ts";
import { testCli } from "../test/cli.ts";
import { keepEvent, keepRun, testHttp } from "../test/console.ts";

const ERROR = {
  code: "handler.threw",
  message: "Error: No plan for \u0007jane@example.com",
  next: "Give her one.",
  at: ["planOf (billing/plan.ts:41:9)", "billing/index.ts:9:1"],
};

test("issues are listed, shown with their error and its place, and closed, with the exit codes of all commands", async (t) => {
  const house = await testHttp(t, { actions: { closeIssue: (id, by) => watch.close(id, by) } });
  const watch = createWatch({ ...house, log: openLog({}), watched: () => [], tell: async () => () => {} });
  const cli = testCli(t);
  const environment = { DAIMON_URL: house.url, DAIMON_TOKEN: await house.token("write") };
  const daimon = async (words: string, code = 0) => {
    const outcome = await cli.run(words.split(" "), { environment });
    assert.equal(outcome.code, code, `${words}: ${outcome.stderr}`);
    return outcome;
  };
  assert.match((await daimon("issues list")).stderr, /No issue is open\./);
  await daimon("issues show latest", 3);

  const run = await keepRun(house.database, await keepEvent(house.database), {
    ...{ status: "failed", handler: "trigger:billing/plan", error: ERROR },
  });
  await house.database.transaction((inside) => fileFailedRuns(inside, [{ id: run, error: ERROR }]));
  const differences = [{ path: "data.email", was: ["text"], now: [] }];
  const detail = { source: "shop", type: "order", differences, before: "evt_1", after: "evt_2" };
  await openIssues(house.database, [
    { kind: "shape", about: "shop order", fingerprint: "", title: "T", detail, count: 1, at: new Date(0) },
  ]);

  const listed = await daimon("issues list");
  assert.match(
    listed.stdout,
    /^iss_\w{26} {2}open .* 1 {2}trigger:billing\/plan {2}No plan for …\niss_.* shop order .* T\n$/,
  );
  const { items } = JSON.parse((await daimon("issues list --kind failure --json")).stdout);
  assert.deepEqual([items.length, items[0].count], [1, 1]);
  const shown = (await daimon("issues show latest")).stdout;
  assert.match(shown, /Error {3}Error: No plan for jane@example\.com \(handler\.threw\)\nNext {4}Give her one\.\n/);
  assert.match(shown, / {2}at planOf \(billing\/plan\.ts:41:9\)\n {2}at billing\/index\.ts:9:1\nrun_\w{26} {2}failed/);
  assert.deepEqual(JSON.parse((await daimon("issues show latest --json")).stdout).runs[0].error.at, ERROR.at);
  const runs = JSON.parse((await daimon(`runs list --issue ${items[0].id} --json`)).stdout);
  assert.deepEqual([runs.items.length, runs.items[0].id], [1, run]);

  assert.match((await daimon(`issues close ${items[0].id}`)).stderr, /Closed: No plan for …/);
  assert.match(
    (await daimon("issues show latest")).stdout,
    / {2}data\.email was text, is now missing\nSamples {2}evt_1 evt_2\n/,
  );
  assert.match((await daimon("issues list --status closed")).stdout, /^iss_\w{26} {2}closed/);
  const all = JSON.parse((await daimon("issues list --status all --json")).stdout);
  assert.match(all.items.find((item: { kind: string }) => item.kind === "failure").closedBy, /^write-/);
  await daimon("issues close iss_00000000000000000000000000", 3);
  await daimon("issues list --kind strange", 2);
});
