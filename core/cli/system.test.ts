import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../base/environment.ts";
import { type Cli, interrupt, type Outcome, testCli } from "../test/cli.ts";

/** The whole of Daimon as a process of its own, on an empty home; it is ready when this returns. */
async function startSystem({ home, beforeRemoval }: Cli) {
  const environment = { PATH: process.env.PATH, HOME: home, DAIMON_HOME: home, PORT: "0" };
  const child = spawn(process.execPath, [join(ROOT, "bin/daimon.js"), "start"], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr.pipe(process.stderr);
  beforeRemoval(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  const ended = once(child, "exit").then(() => assert.fail("It ended before it was ready."));
  ended.catch(() => {});
  const [told] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
  return { child, told: told.toString() };
}

test("the CLI tells the whole way of an event and of a question through the running system", async (t) => {
  const cli = testCli(t);
  const { child, told } = await startSystem(cli);
  assert.match(told, /Daimon is ready.*\n(.*\n)*Open http:\/\/localhost:\d+\/login#c=/);
  assert.equal(statSync(join(cli.home, "server.json")).mode & 0o777, 0o600);
  const daimon = async (words: string[], code = 0) => {
    const outcome = await cli.run(words);
    assert.equal(outcome.code, code, `${words.join(" ")}: ${outcome.stderr}`);
    return outcome;
  };
  const json = async (...words: string[]) => JSON.parse((await daimon([...words, "--json"])).stdout);

  // The world: a signed webhook, a broken signature, the same delivery twice.
  let sending: Promise<Outcome> | undefined;
  const send = () => {
    sending = daimon(["send", "github", "push", "--wait"]);
  };
  const heard = await cli.run(["listen", "github"], {
    react: [
      ["Listening", send],
      ["github push", interrupt],
    ],
  });
  const sent = await sending!;
  assert.match(sent.stdout, /^202 {2}evt_\w{26}\n$/);
  assert.match(sent.stderr, /✓ .*\nrun_\w{26} completed\n$/);
  assert.match(heard.stdout, /evt_\w{26} {2}dispatched {2}github push/);
  assert.match((await daimon(["send", "github", "--bad-signature"])).stdout, /^401 {2}.*signature/);
  assert.match((await daimon(["send", "github", "--stale"], 2)).stderr, /github signs no time/);
  assert.match((await daimon(["send", "github", "--duplicate"])).stdout, /^202 {2}(evt_\w+)\n200 {2}\1 {2}duplicate/);
  await daimon(["send", "nobody"], 3);
  const event = await json("events", "show", /evt_\w+/.exec(sent.stdout)![0]);
  assert.deepEqual([event.source, event.type, event.runs[0].status], ["github", "push", "completed"]);
  assert.ok(event.runs[0].steps.length > 0);
  const { items, next } = await json("events", "list", "--source", "github", "--limit", "1");
  assert.equal((await json("events", "list", "--limit", "1", "--cursor", next)).items.length, 1);
  assert.notEqual(items[0].id, event.id);
  assert.match((await daimon(["runs", "show", event.runs[0].id])).stdout, /Status {3}completed\n(.*\n)*✓ /);
  await daimon(["runs", "retry", event.runs[0].id], 1);
  assert.match((await daimon(["events", "replay", event.id])).stdout, /^run_\w{26}\n$/);

  // You: a question, and what it cost.
  const hi = await json("chat", "hi");
  assert.deepEqual([typeof hi.text, typeof hi.runId, typeof hi.usd, hi.demo], ["string", "string", "number", true]);
  const spoken = await daimon(["chat", "save idea: a video on webhooks"]);
  assert.match(spoken.stdout, /inbox\//);
  assert.match(spoken.stderr, /demo, no model/);
  const costs = await json("costs", "--since", "1d");
  assert.ok(costs.calls.every((call: { promptTokens: number }) => call.promptTokens < 2000));
  assert.match((await daimon(["costs"])).stdout, /Today {2}.* of \$5\.00/);
  const found = await json("hub", "search", "webhooks video", "--budget", "500");
  assert.deepEqual(Object.keys(found.hits[0]).sort(), ["lines", "path", "text"]);
  assert.ok(found.tokens <= 500);
  assert.equal(typeof (await json("hub", "map")).tokens, "number");
  assert.match((await daimon(["hub", "read", "identity/soul.md"])).stdout, /Soul/);
  await daimon(["hub", "read", "nothing.md"], 3);
  assert.ok((await json("skills", "list")).items.length > 0);

  // The clock, and what keeps it well.
  const schedule = (await json("schedules", "list")).items[0].name;
  assert.ok((await json("schedules", "next")).items.length >= 5);
  assert.equal((await json("schedules", "pause", schedule)).paused, true);
  assert.equal((await json("schedules", "resume", schedule)).paused, false);
  assert.match((await daimon(["schedules", "run", schedule])).stdout, /^run_/);
  await json("approvals", "list");
  assert.match((await daimon(["login"])).stdout, /^http:\/\/127\.0\.0\.1:\d+\/login#c=\S+\n$/);
  assert.equal((await json("stop")).stopped, true);
  assert.equal((await json("stop", "--release")).stopped, false);
  assert.match((await daimon(["logs"])).stdout, /Daimon is ready/);
  const { checks } = await json("doctor");
  assert.ok(checks.some((check: { name: string }) => check.name === "server"));

  // From afar, with a token that may only read.
  const { token } = await json("token", "create", "laptop", "--scope", "read");
  const { url } = JSON.parse(readFileSync(join(cli.home, "server.json"), "utf8"));
  const far = { DAIMON_HOME: join(cli.home, "elsewhere"), DAIMON_URL: url, DAIMON_TOKEN: token };
  assert.equal((await cli.run(["runs", "list"], { environment: far })).code, 0);
  assert.equal((await cli.run(["stop"], { environment: far })).code, 4);
  await daimon(["token", "revoke", "laptop"]);
  assert.equal((await cli.run(["runs", "list"], { environment: far })).code, 4);

  // Told to stop twice, as by a service manager that tells each process of a group.
  child.stderr.on("data", (said) => String(said).includes("Stopping") && child.kill("SIGTERM"));
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.ok(!existsSync(join(cli.home, "server.json")));
  assert.match((await daimon(["runs", "list"], 1)).stderr, /not running/);
});
