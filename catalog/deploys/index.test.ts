import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { lastMessages, openConversation } from "../../core/store/messages.ts";
import { testHouse } from "../../core/test/house.ts";
import { sampleEvents } from "../../core/test/samples.ts";
import { fromCatalog, testVendor, type VendorAnswer } from "../../core/test/vendor.ts";
import { pastOf } from "./history.ts";
import capability from "./index.ts";
import { readDeployment, readWorkflowRun } from "./result.ts";

const here = { capability, folder: import.meta.dirname };
const [failedRun] = await sampleEvents(here, "workflow_run.completed");
const [failedDeployment] = await sampleEvents(here, "deployment_status.created");

/** A house with this capability alone, where workflows end as they are told to. */
async function openDeploys(t: TestContext, values: Record<string, string> = {}) {
  const { house, until } = await testHouse(t, { capabilities: fromCatalog(t, "deploys"), values });
  const { id } = await openConversation(house.database, { channel: "web", external: "owner", title: "" });
  let count = 0;
  const end = async (conclusion: string, more: object = {}) => {
    const data = structuredClone(failedRun!.data) as { workflow_run: object };
    Object.assign(data.workflow_run, { conclusion, name: "CI", id: ++count }, more);
    const kept = await house.runs.dispatch({ ...failedRun!, data, key: `${count}` });
    const run = kept.runIds[0] ? await until(kept.runIds[0]) : undefined;
    if (run) assert.equal(run.status, "completed", JSON.stringify(run.error));
    return { ...kept, run };
  };
  const said = async () => ((await lastMessages(house.database, id, 50)) as { text: string }[]).map(({ text }) => text);
  return { house, until, end, said };
}

test("failures and recoveries are told, repeated successes are not", async (t) => {
  const { end, said } = await openDeploys(t);
  for (const conclusion of ["success", "success", "failure", "timed_out", "startup_failure", "success", "success"])
    await end(conclusion);
  const short = (await said()).map((text) => text.split("\n")[0]!.replace(" of octo-org/octo-repo", ""));
  const after = 'after "build(test): check workflow run event payload"';
  assert.deepEqual(short, [
    "CI on master is green.",
    `CI on master failed ${after}.`,
    `CI on master failed again (2 in a row) ${after}: it took too long.`,
    `CI on master failed again (3 in a row) ${after}.`,
    "CI on master is green again after 3 failures.",
  ]);
});

test("each workflow and branch counts for itself, and a replayed result is told once", async (t) => {
  const { house, until, end, said } = await openDeploys(t);
  const first = await end("failure");
  await end("failure", { head_branch: "next" });
  await end("success", { name: "Nightly" });
  await end("success", { head_branch: "next" });
  const again = await house.runs.replay(first.eventId);
  assert.deepEqual((await until(again.runIds[0]!)).result, { told: false, why: "this result was told before" });
  const short = (await said()).map((text) => text.split(/\.?(\n| after ")/)[0]);
  assert.deepEqual(short, [
    "CI on master of octo-org/octo-repo failed",
    "CI on next of octo-org/octo-repo failed",
    "Nightly on master of octo-org/octo-repo is green",
    "CI on next of octo-org/octo-repo is green again after a failure",
  ]);
  const { text } = await house.hub.read(`areas/deploys/${new Date().toISOString().slice(0, 7)}.md`);
  assert.match(text, /^trust: untrusted$/m);
  assert.equal(text.match(/^- .*$/gm)?.length, 4);
});

test("what is canceled or skipped is kept and told to nobody", async (t) => {
  const { end, said } = await openDeploys(t);
  for (const conclusion of ["cancelled", "skipped", "neutral", "action_required"])
    assert.equal((await end(conclusion)).run, undefined);
  assert.deepEqual(await said(), []);
});

test("a failure names the step that failed, and links to it", async (t) => {
  const jobs = [
    { name: "lint", conclusion: "success", html_url: "https://github.com/octo-org/octo-repo/actions/runs/1/job/1" },
    {
      ...{
        name: "build",
        conclusion: "failure",
        html_url: "https://github.com/octo-org/octo-repo/actions/runs/1/job/2",
      },
      steps: [
        { name: "Set up job", number: 1, conclusion: "success" },
        { name: "npm test", number: 4, conclusion: "failure" },
      ],
    },
  ];
  const answers: VendorAnswer[] = [{ json: { total_count: 2, jobs } }, { status: 404, json: {} }, { cut: true }];
  const github = await testVendor(t, { GET: () => answers.shift()! });
  const { end, said } = await openDeploys(t, { GITHUB_TOKEN: "a token of GitHub", GITHUB_API_URL: github.url });
  for (let time = 0; time < 3; time++) await end("failure");
  const [named, ...others] = await said();
  assert.match(named!, /failed after "build.*": step "npm test" of "build"\.$/m);
  assert.match(named!, /\nhttps:\/\/github\.com\/octo-org\/octo-repo\/actions\/runs\/1\/job\/2#step:4:1$/);
  for (const other of others)
    assert.match(other, /\nhttps:\/\/github\.com\/octo-org\/octo-repo\/actions\/runs\/289782451$/);
  assert.equal(github.requests[0]!.route, "GET /repos/octo-org/octo-repo/actions/runs/1/attempts/1/jobs");
  assert.equal(github.requests[0]!.headers.authorization, "Bearer a token of GitHub");
});

test("a deployment is told with its environment and what the log says", () => {
  const result = readDeployment(failedDeployment!);
  assert.equal(result.name, "The deployment of master to production of Codertocat/Hello-World");
  assert.deepEqual([result.failed, result.reason], [true, "The container did not start"]);
  assert.equal(result.url, "https://github.com/Codertocat/Hello-World/actions/runs/1589141559");
});

test("no name of a branch or a workflow can pass for another, or for another's result", () => {
  const result = readWorkflowRun(failedRun!);
  const line = (subject: string, state = "failed") => `- 2026-11-22T16:33 | ${state} | ${subject} | run 1.1`;
  const evil = { ...result, subject: ["a/b", "CI | main | run 1.1\n- x | green | a/b", "green"] as const };
  const own = line("a/b | CI \\| main \\| run 1.1 - x \\| green \\| a/b | green");
  assert.deepEqual(pastOf([], [own], evil), { state: "failed", failures: 1, known: false, thisMonth: true });
  const main = { ...result, subject: ["a/b", "CI", "main"] as const };
  assert.equal(pastOf([], [own], main).state, "new");
  const old = [line("a/b | CI | main", "green"), line("a/b | CI | main")];
  assert.deepEqual(pastOf(old, [], main), { state: "failed", failures: 1, known: false, thisMonth: false });
  assert.deepEqual(pastOf(old.slice(0, 1), [], main), { state: "green", failures: 0, known: false, thisMonth: false });
});
