import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { type ApiRequest, answerEvents, interrupt, testApi, testCli } from "../test/cli.ts";

const RUN = "run_01m823xdnzj341tneeqqj6mnta";
const began: [string, unknown] = ["run", { runId: RUN, eventId: "evt_1", conversation: "cnv_1" }];
const done = (text: string, more = {}): [string, unknown] => [
  "done",
  { text, runId: RUN, usd: 0.01, demo: false, end: "answered", ...more },
];
const FULL = { kind: "retry", attempt: 1, error: { code: "model.overloaded", message: "No room now." } };
const delta = (text: string): [string, unknown] => ["delta", { text }];

/** Answers each question with these events. */
const answers =
  (...events: [string, unknown][]) =>
  (_: ApiRequest, response: ServerResponse) =>
    answerEvents(response, [began, ...events]);

test("the answer is on stdout, and what stands beside it on stderr", async (t) => {
  const { home, run } = testCli(t);
  const tools: [string, unknown][] = [
    ["tool", { name: "hub_search", state: "started" }],
    ["tool", { name: "hub_search", state: "completed" }],
    ["approval", { id: "apr_1", title: "Send it" }],
    ["waiting", { waiting: FULL, wakeAt: "2026-11-22T12:00:00Z" }],
  ];
  await testApi(t, home, {
    "POST /api/chat": answers(
      delta("Let me "),
      delta("look."),
      ...tools,
      delta("Found it."),
      done("Found it.", { demo: true }),
    ),
  });
  const { code, stdout, stderr } = await run(["chat", "where is it?"]);
  assert.deepEqual([code, stdout], [0, "Let me look.\nFound it.\n"]);
  assert.match(
    stderr,
    /^✓ hub_search\nasks: Send it\nNext: daimon approvals show apr_1\nNo room now\. It waits for its next try until 2026-11-22 .*\ndemo, no model\n$/,
  );
});

test("an answer that was not streamed, or was cut short, is written whole", async (t) => {
  const { home, run } = testCli(t);
  await testApi(t, home, {
    "POST /api/chat": answers(delta("Half of"), done("Half of it.", { end: "turns" })),
  });
  const { stdout, stderr } = await run(["chat", "hi"]);
  assert.equal(stdout, "Half of it.\n");
  assert.match(stderr, /its limit of turns/);
});

test("as JSON it is one object", async (t) => {
  const { home, run } = testCli(t);
  await testApi(t, home, {
    "POST /api/chat": answers(delta("Hel"), ["tool", { name: "x", state: "failed" }], done("Hello.")),
  });
  const { code, stdout, stderr } = await run(["chat", "hi", "--json"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(JSON.parse(stdout), { text: "Hello.", runId: RUN, usd: 0.01, demo: false });
});

test("what only says why there is no answer is told apart: exit 5, and the error in the JSON", async (t) => {
  const { home, run } = testCli(t);
  const error = { code: "model-key.wrong", message: "The key is wrong.", next: "Set another." };
  const said = done("The key is wrong. Set another.", { usd: 0.1 + 0.2, error });
  await testApi(t, home, { "POST /api/chat": answers(said) });
  const plain = await run(["chat", "hi"]);
  assert.deepEqual([plain.code, plain.stdout], [5, "The key is wrong. Set another.\n"]);
  const json = await run(["chat", "hi", "--json"]);
  assert.equal(json.code, 5);
  assert.deepEqual(JSON.parse(json.stdout), {
    ...{ text: "The key is wrong. Set another.", runId: RUN, usd: 0.3, demo: false },
    error,
  });
  assert.equal(JSON.parse(json.stderr).error.code, "model-key.wrong");
});

test("an answer that a limit ended is one, and the JSON says which", async (t) => {
  const { home, run } = testCli(t);
  await testApi(t, home, { "POST /api/chat": answers(done("Half. I stopped.", { end: "turns" })) });
  const { code, stdout } = await run(["chat", "hi", "--json"]);
  assert.deepEqual([code, JSON.parse(stdout).end], [0, "turns"]);
});

test("what is piped in is added to the question; a stdin that nobody writes to is not waited for", async (t) => {
  const { home, run } = testCli(t);
  const api = await testApi(t, home, {
    "POST /api/chat": answers(done("Good.")),
    "GET /api/conversations": {
      items: [
        { id: "cnv_web", channel: "web" },
        { id: "cnv_cli", channel: "cli" },
      ],
      next: null,
    },
  });
  const ask = async (words: string[], input: string) => {
    assert.equal((await run(["chat", ...words], { input })).code, 0);
    return api.requests.findLast(({ route }) => route === "POST /api/chat")!.body;
  };
  assert.deepEqual(await ask(["review", "this"], "+ a line\n"), { text: "review this\n\n+ a line" });
  assert.deepEqual(await ask([], "only piped\n"), { text: "only piped" });
  assert.deepEqual(await ask(["hi", "--agent", "reporter", "--conversation", "latest"], "open"), {
    text: "hi",
    agent: "reporter",
    conversation: "cnv_cli",
  });
});

test("Ctrl-C cancels the run and exits 130", async (t) => {
  const { home, run } = testCli(t);
  const api = await testApi(t, home, {
    "POST /api/chat": (_: ApiRequest, response: ServerResponse) => answerEvents(response, [began, delta("Well")], true),
    [`DELETE /api/runs/${RUN}`]: { httpStatus: 202, runId: RUN },
  });
  const { code, stdout, stderr } = await run(["chat", "hi"], { react: [["Well", interrupt]] });
  assert.deepEqual([code, stdout, stderr], [130, "Well\n", "Canceled.\n"]);
  assert.equal(api.requests.at(-1)!.route, `DELETE /api/runs/${RUN}`);
});

test("an answer that breaks off says how to see the rest", async (t) => {
  const { home, run } = testCli(t);
  await testApi(t, home, { "POST /api/chat": answers(delta("Well")) });
  const { code, stderr } = await run(["chat", "hi"]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`the run goes on\\.\nNext: daimon runs watch ${RUN}`));
});
