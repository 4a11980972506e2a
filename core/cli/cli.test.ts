import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { type ApiRequest, answerEvents, testApi, testCli } from "../test/cli.ts";
import { addCompletion, buildProgram } from "./tree.ts";

const MAIN = { start: async () => {} };
const EVENT = "evt_01m823xdnz9p33nn999mqth6ke";
const RUN = "run_01m823xdnzj341tneeqqj6mnta";

const run = {
  ...{
    id: RUN,
    eventId: EVENT,
    handler: "trigger:github/file-push",
    status: "completed",
    attempts: 0,
    maxAttempts: 5,
  },
  ...{ usd: 0.0123, waiting: null, error: null, result: null, wakeAt: null },
  ...{
    createdAt: "2025-03-01T10:00:00Z",
    startedAt: "2025-03-01T10:00:00Z",
    finishedAt: "2025-03-01T10:00:02Z",
  },
  steps: [
    step("ask/model", "model", { model: "demo", demo: true, inputTokens: 900, outputTokens: 40 }),
    step("ask/save_idea", "tool", { tool: "save_idea" }),
    step("hub create inbox/a.md", "hub", null),
  ],
};
const failedRun = {
  ...run,
  status: "failed",
  error: { code: "handler.threw", message: "It broke.", next: "Mend it." },
};
const event = {
  ...{ id: EVENT, source: "github", type: "push", key: "k1", receivedAt: "2025-03-01T10:00:00Z" },
  ...{ outcome: "dispatched", reason: null, data: { a: 1 }, problem: null, request: null },
  runs: [run],
};

function step(key: string, kind: string, detail: unknown) {
  const times = { startedAt: "2025-03-01T10:00:00.000Z", finishedAt: "2025-03-01T10:00:00.340Z" };
  return { key, kind, status: "completed", error: null, detail, usd: 0, ...times };
}

function commandsOf(program: Command, path: string[] = []): { path: string[]; command: Command }[] {
  return program.commands.flatMap((command) => {
    const inner = [...path, command.name()];
    return [{ path: inner, command }, ...commandsOf(command, inner)];
  });
}

test("every command of the design is there, and each tells itself with examples first", async (t) => {
  const { run } = testCli(t);
  const commands = commandsOf(addCompletion(buildProgram(MAIN), MAIN)).filter(({ path }) => path[0] !== "complete");
  const named = commands.map(({ path }) => path.join(" "));
  for (const name of "start init doctor login add remove list send listen events runs issues schedules approvals chat hub skills costs logs token completion".split(
    " ",
  )) {
    assert.ok(named.includes(name), name);
  }
  for (const { path, command } of commands) {
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    assert.ok(help.startsWith(command.description()), path.join(" "));
    assert.match(
      help,
      new RegExp(`Examples:\n(  .*\n)*  (.*\\| )?daimon ${path.join(" ")}(.|\n)*Usage:`),
      path.join(" "),
    );
  }
  for (const [words, told] of [
    [["help"], /^A personal AI operating system/],
    [["help", "runs"], /^The executions of/],
    [["help", "runs", "show"], /^One with the tree of its steps/],
  ] as const) {
    const whole = await run([...words]);
    assert.equal(whole.code, 0);
    assert.match(whole.stdout, told);
  }
  assert.match((await run([])).stdout, /^A personal AI operating system/);
});

test("a wrong use is told, with the next command, and exits 2", async (t) => {
  const { run } = testCli(t);
  const cases: [string[], RegExp][] = [
    [["rns"], /Unknown command 'rns'\.\nNext: Did you mean runs\?/],
    [["runs", "shwo"], /Did you mean show\?/],
    [["help", "nothing"], /^Unknown command 'nothing'\.\nNext: daimon --help/],
    [["help", "runs", "shwo"], /^Unknown command 'shwo'\.\nNext: Did you mean show\?/],
    [["runs", "list", "--stauts", "failed"], /Unknown option '--stauts'\.\nNext: Did you mean --status\?/],
    [["runs", "list", "--status", "lost"], /Allowed choices are queued, running/],
    [["runs", "show"], /Missing required argument 'id'\.\nNext: daimon runs show --help/],
    [["runs", "list", "--limit", "none"], /It must be a whole number/],
    [["start", "--only", "web,moon"], /It takes web, worker and clock/],
    [["chat"], /Nothing is asked/],
    [["init"], /no terminal to ask on/],
    [["approvals", "approve", "latest"], /needs the exact id/],
    [["runs"], /Examples:/],
  ];
  for (const [words, told] of cases) {
    const { code, stdout, stderr } = await run(words);
    assert.deepEqual([code, stdout], [2, ""], words.join(" "));
    assert.match(stderr, told);
  }
  const asked = await run(["runs", "list", "--stauts", "--json"]);
  assert.deepEqual(JSON.parse(asked.stderr), {
    error: { code: "cli.usage", message: "Unknown option '--stauts'.", next: "Did you mean --status?" },
  });
});

test("without a server, what needs one says so", async (t) => {
  const { home, run } = testCli(t);
  const none = await run(["runs", "list", "--json"]);
  assert.equal(none.code, 1);
  assert.deepEqual(JSON.parse(none.stderr), {
    error: { code: "server.down", message: `Daimon is not running (${home}).`, next: "npm start" },
  });
  const left = { url: "http://127.0.0.1:1", pid: 1, token: "t", startedAt: "2025-03-01T10:00:00Z" };
  writeFileSync(join(home, "server.json"), JSON.stringify(left));
  assert.match((await run(["chat", "hi"])).stderr, /not running.*\nNext: npm start/);
  const far = await run(["runs", "list"], { environment: { DAIMON_URL: "http://127.0.0.1:1/" } });
  assert.match(far.stderr, /No Daimon answers at http:\/\/127\.0\.0\.1:1\./);
  for (const url of ["nonsense", "ftp://127.0.0.1/", "http://[", "https://127.0.0.1:1"]) {
    const { code, stderr } = await run(["runs", "list"], { environment: { DAIMON_URL: url } });
    assert.equal(code, 1);
    assert.match(stderr, /^No Daimon answers at \S+\.\nNext: Is DAIMON_URL right, .*\n$/);
  }
  const page = (_: ApiRequest, response: ServerResponse) => response.end("<html>Another program</html>");
  await testApi(t, home, { "GET /api/runs": page });
  assert.match((await run(["runs", "list"])).stderr, /^Daimon is not running .*\nNext: npm start\n$/);
  writeFileSync(join(home, "server.json"), "{");
  assert.match((await run(["runs", "list"])).stderr, /^Daimon is not running .*\nNext: npm start\n$/);
});

test("the exit code says what came of it", async (t) => {
  const { home, run: daimon } = testCli(t);
  const refuse = (status: number, code: string) => ({ httpStatus: status, error: { code, message: "No." } });
  await testApi(t, home, {
    "GET /api/runs/one": failedRun,
    "GET /api/runs/good": run,
    "GET /api/runs/closed": refuse(401, "auth.wrong"),
    "GET /api/runs/scope": refuse(403, "auth.scope"),
    "GET /api/runs": { items: [], next: null },
    "GET /api/events": refuse(400, "request.invalid"),
    "GET /api/status": { owner: { name: "Ada", zone: "Europe/Amsterdam" }, stopped: true },
    "POST /api/runs/good/retries": refuse(409, "run.state"),
    "GET /api/doctor": {
      checks: [{ name: "database", state: "failed", message: "is gone", next: "npm start" }],
    },
    "POST /api/chat": (_: ApiRequest, response: ServerResponse) =>
      answerEvents(response, [
        ["run", { runId: RUN, eventId: EVENT, conversation: "cnv_1" }],
        ["error", { code: "model.key-wrong", message: "The key is wrong.", next: "daimon init" }],
      ]),
    "POST /api/samples": {
      deliveries: [{ status: 503, body: { error: { code: "a.b", message: "No secret." } }, key: "k" }],
    },
  });
  const cases: [string, number, RegExp][] = [
    ["runs show good", 0, /^$/],
    ["runs show none", 3, /There is no GET \/api\/runs\/none/],
    ["runs show latest", 3, /There are no runs yet\./],
    ["runs list", 0, /No runs\. Send an event: /],
    ["runs list --status failed", 0, /No run is like that\./],
    ["runs list --limit 201", 2, /It must be a whole number from 1 to 200\./],
    ["events list --since soon", 2, /No\./],
    ["runs show closed", 4, /DAIMON_TOKEN/],
    ["runs show scope", 4, /No\./],
    ["runs watch good", 0, /✓ ask\/model 340ms/],
    ["runs watch good", 0, /STOP is on: nothing begins\. Next: daimon stop --release/],
    ["runs watch one", 5, /failed: It broke\.\nNext: Mend it\./],
    ["runs retry good", 1, /No\./],
    ["chat hi", 5, /The key is wrong\.\nNext: daimon init/],
    ["send github", 1, /1 of 1 were refused: No secret\./],
    ["doctor", 6, /Problems: 1\./],
  ];
  for (const [words, code, told] of cases) {
    const outcome = await daimon(words.split(" "));
    assert.deepEqual([outcome.code, words], [code, words]);
    assert.match(outcome.stderr, told);
  }
});

test("a step that has not ended is told as what it is", async (t) => {
  const { home, run: daimon } = testCli(t);
  const steps = [step("nap", "sleep", null), step("pay", "tool", null)].map((one) => ({ ...one, status: "started" }));
  const inState = (status: string) => ({ ...run, status, steps });
  await testApi(t, home, {
    "GET /api/runs/asleep": inState("waiting"),
    "GET /api/runs/live": inState("running"),
    "GET /api/runs/gone": inState("canceled"),
  });
  const words = async (id: string) => (await daimon(["runs", "show", id])).stdout.split("\n").slice(-3, -1);
  const [asleep, live, gone] = [await words("asleep"), await words("live"), await words("gone")];
  assert.match(asleep.join(), /nap .* waiting,.*pay .* outcome unknown/);
  assert.match(live.join(), /nap .* waiting,.*pay .* running/);
  assert.match(gone.join(), /nap .* canceled,.*pay .* outcome unknown/);
});

test("JSON is the API's answer, on stdout alone, and a list has items and next", async (t) => {
  const { home, run: daimon } = testCli(t);
  const events = { items: [{ ...event, runs: { total: 1, failed: 0, active: 0 } }], next: EVENT };
  const hits = { hits: [{ path: "a.md", lines: "1-2", text: "x" }], tokens: 3 };
  const api = await testApi(t, home, {
    "GET /api/events": events,
    [`GET /api/events/${EVENT}`]: event,
    "GET /api/hub/search": hits,
    "GET /api/hub/map": { text: "inbox/", tokens: 2 },
    "POST /api/tokens": { httpStatus: 201, token: "dmn_x" },
    "PUT /api/stop": { stopped: true },
    "DELETE /api/tokens/laptop": { httpStatus: 204 },
  });
  const cases: [string, unknown][] = [
    ["events list --source github --text a --limit 1 --json", events],
    ["events show latest --json", event],
    ["hub search launch date --budget 2000 --under inbox --json", hits],
    ["hub map --budget 9 --json", { text: "inbox/", tokens: 2 }],
    ["token create laptop --scope read --json", { token: "dmn_x" }],
    ["stop --json", { stopped: true }],
  ];
  for (const [words, answer] of cases) {
    const { code, stdout, stderr } = await daimon(words.split(" "));
    assert.deepEqual([code, JSON.parse(stdout), stderr], [0, answer, ""], words);
  }
  const asked = (route: string) => api.requests.find((request) => request.route === route)!;
  assert.equal(asked("GET /api/events").query.toString(), "source=github&limit=1&q=a");
  assert.equal(asked("GET /api/hub/search").query.toString(), "budget=2000&under=inbox&q=launch+date");
  assert.deepEqual(asked("POST /api/tokens").body, { name: "laptop", scope: "read" });
  assert.ok(api.requests.every((request) => request.token === "the token"));
  assert.equal((await daimon(["token", "revoke", "laptop"])).code, 0);
});

test("a person sees aligned words in the owner's zone, and nothing that steers the terminal", async (t) => {
  const { home, run: daimon } = testCli(t);
  const sly = { ...event, type: "push\u001b[2J\u202e", reason: "a\nb", data: { text: "\u009b31m" } };
  await testApi(t, home, {
    "GET /api/events": { items: [{ ...sly, runs: { total: 2, failed: 1, active: 0 } }], next: "more" },
    [`GET /api/events/${EVENT}`]: sly,
  });
  const list = await daimon(["events", "list"], { environment: { TERM: "xterm-256color" } });
  assert.match(
    list.stdout,
    new RegExp(`^${EVENT}  dispatched  2025-03-01 11:00 · .* ago  2 1 failed  github push\\[2J \\(a b\\)\n$`),
  );
  assert.equal(list.stderr, "More: --cursor more\n");
  const shown = (await daimon(["events", "show", EVENT])).stdout;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
  assert.doesNotMatch(list.stdout + shown, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert.match(shown, /Took {5}2s/);
  assert.match(shown, /\n {2}ask\n {2}✓ model +model {2}340ms {2}900 → 40 {2,4}demo \(demo, no model\)\n/);
  assert.match(shown, /\n✓ hub create inbox\/a\.md +hub/);
});

test("a reader that goes away is no error", async (t) => {
  const { home, run: daimon } = testCli(t);
  const items = Array.from({ length: 3000 }, () => ({ ...event, runs: { total: 1, failed: 0, active: 0 } }));
  await testApi(t, home, { "GET /api/events": { items, next: null } });
  const script = join(home, "head.js");
  writeFileSync(
    script,
    `const { execFileSync } = require("node:child_process");
     process.stdout.write(execFileSync("bash", ["-c", 'set -o pipefail; "$0" "$1" events list | head -1', process.execPath, process.argv[2]]));`,
  );
  const { code, stdout, stderr } = await daimon([join(import.meta.dirname, "../../bin/daimon.js")], {
    script,
  });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, new RegExp(`^${EVENT}.*\n$`));
});

test("doctor works with the server down, and finds what others can read", async (t) => {
  const { home, run: daimon } = testCli(t);
  const environment = { PORT: "0", DAIMON_CAPABILITIES: join(home, "capabilities") };
  mkdirSync(environment.DAIMON_CAPABILITIES);
  const sound = await daimon(["doctor", "--json"], { environment });
  const { ok, checks } = JSON.parse(sound.stdout) as {
    ok: boolean;
    checks: { name: string; state: string }[];
  };
  assert.deepEqual([sound.code, ok], [0, true]);
  const named = Object.fromEntries(checks.map((check) => [check.name, check.state]));
  const expected = {
    node: "ok",
    git: "ok",
    home: "ok",
    ".env": "ok",
    database: "ok",
    "model keys": "warning",
    server: "warning",
  };
  assert.deepEqual({ ...named, ...expected }, named);
  writeFileSync(join(home, ".env"), "A=1\n", { mode: 0o644 });
  chmodSync(join(home, ".env"), 0o644);
  const found = await daimon(["doctor"], { environment });
  assert.equal(found.code, 6);
  assert.match(found.stdout, new RegExp(`✗ \\.env: others can read ${home}/\\.env\n {4}chmod 600 '${home}/`));
});
