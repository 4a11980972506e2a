import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync, symlinkSync } from "node:fs";
import { Agent, type IncomingHttpHeaders, request as send } from "node:http";
import { createRequire } from "node:module";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sign } from "@octokit/webhooks-methods";
import { ROOT } from "../base/environment.ts";
import { openLog } from "../base/log.ts";
import { startDatabase } from "../store/embedded/embedded.ts";
import { testEnvironment } from "./models.ts";
import { testConnection, testSystem, until } from "./system.ts";

const SECRETS = { GITHUB_WEBHOOK_SECRET: "what GitHub knows", ECHO_SECRET: "echo" };

const ECHO = `
import { defineCapability, defineTrigger, defineWebhook } from "daimon";

const webhook = (source: string, secret: string) =>
  defineWebhook({
    source,
    verify: { scheme: "hmac", algorithm: "sha256", encoding: "hex", header: "x-signature", secret },
    type: [{ header: "x-event" }],
    key: { header: "x-delivery" },
  });

export default defineCapability({
  name: "echo",
  description: "Says again what it was sent.",
  webhooks: [webhook("echo", "ECHO_SECRET"), webhook("quiet", "QUIET_SECRET")],
  triggers: [
    defineTrigger<{ n: number }>({
      name: "echo",
      on: { source: "echo", type: "echo" },
      run: async ({ event, step }) => await step.run("echo", () => event.data.n),
    }),
  ],
  secrets: [
    { name: "ECHO_SECRET", description: "Signs echoes" },
    { name: "QUIET_SECRET", description: "Is not set", required: false },
  ],
});
`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: { id?: string; duplicate?: boolean; error?: { code: string; message: string } };
}

interface Request {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array | readonly (string | Uint8Array)[];
  readonly agent?: Agent;
}

/** A body of several parts is sent chunked, without its length. */
async function post(url: string, { headers = {}, body = "", agent }: Request): Promise<Answer> {
  const request = send(url, { method: "POST", headers, agent: agent ?? false });
  const answered = once(request, "response");
  answered.catch(() => {});
  if (typeof body === "string" || body instanceof Uint8Array) request.end(body);
  else {
    for (const part of body) request.write(part);
    request.end();
  }
  const [response] = await answered;
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) };
}

/** As GitHub sends it. */
async function github(type: string, body: string, more: Record<string, string> = {}): Promise<Request> {
  return {
    body,
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/1",
      "x-github-event": type,
      "x-github-delivery": randomUUID(),
      "x-hub-signature-256": await sign(SECRETS.GITHUB_WEBHOOK_SECRET, body),
      ...more,
    },
  };
}

function echo(n: number, more: Record<string, string> = {}): Request & { headers: Record<string, string> } {
  const body = JSON.stringify({ n });
  const signature = createHmac("sha256", SECRETS.ECHO_SECRET).update(body).digest("hex");
  return { body, headers: { "x-event": "echo", "x-delivery": `echo ${n}`, "x-signature": signature, ...more } };
}

test("the door for the world, from outside", async (t) => {
  const system = testSystem(t, SECRETS);
  symlinkSync(join(ROOT, "capabilities/github"), join(system.capabilities, "github"));
  system.install("echo", { "index.ts": ECHO });
  // A server that can be stopped, and that nobody but the test starts again.
  const given = { ...testEnvironment(), home: join(system.home, "given") };
  let server = await startDatabase(given, openLog({}));
  const { host } = server.connection as { host: string };
  const url = `postgresql://daimon@localhost/daimon?host=${encodeURIComponent(host)}`;
  const daimon = await system.start("web,worker,clock", { DATABASE_URL: url });
  assert.equal((await fetch(`${daimon.url}/readyz`)).status, 200);
  const database = testConnection(t, { connectionString: url });
  const door = (source: string) => `${daimon.url}/hooks/${source}`;
  const count = async (source: string) =>
    (await database.query("select from events where source = $1", [source])).length;
  const finished = async (source: string) =>
    await database.query<{ status: string }>(
      "select r.status from runs r join events e on e.id = r.event_id where e.source = $1 and r.finished_at is not null",
      [source],
    );

  // It takes ten seconds, so it goes on beside the others.
  const slow = (async () => {
    const socket = connectSocket(Number(new URL(daimon.url).port), "127.0.0.1");
    socket.write("POST /hooks/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{");
    let said = "";
    socket.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
    await once(socket, "close");
    return said;
  })();

  await t.test("a signed push is kept to the byte, carried step by step, and filed in the hub", async () => {
    const examples = createRequire(import.meta.url)("@octokit/webhooks-examples") as {
      name: string;
      examples: { commits: unknown[] }[];
    }[];
    const push = examples.find(({ name }) => name === "push")!.examples.find(({ commits }) => commits.length > 0)!;
    const text = JSON.stringify(push, null, "\t").replaceAll("\n", "\r\n");
    const body = `  ${text.replace('"ref"', '"note": "caf\\u00e9 \\ud83d\\ude80 e\u0301 \u00e9", "float": 1.50, "ref"')}\r\n `;
    const given = await github("push", body);
    const answer = await post(door("github"), given);
    assert.equal(answer.status, 202);
    const id = answer.body.id!;
    await until("the run is finished", async () => (await finished("github")).length === 1);

    const event = await system.daimon<{
      type: string;
      key: string;
      outcome: string;
      request: { body: string; bodyBase64: string; headers: Record<string, string> };
      data: { note: string };
      runs: { id: string; status: string; result: { path: string }; steps: { key: string; status: string }[] }[];
    }>("events", "show", id);
    assert.deepEqual(
      [event.type, event.outcome, event.key],
      ["push", "dispatched", given.headers!["x-github-delivery"]],
    );
    assert.deepEqual(Buffer.from(event.request.bodyBase64, "base64"), Buffer.from(body));
    assert.equal(event.request.body, body);
    assert.equal(event.request.headers["user-agent"], "GitHub-Hookshot/1");
    assert.equal(event.data.note, "café 🚀 e\u0301 \u00e9");
    assert.equal(event.runs.length, 1);
    const [run] = event.runs;
    assert.equal(run!.status, "completed");
    const { path } = run!.result;
    assert.deepEqual(
      run!.steps.map(({ key, status }) => [key, status]),
      [
        ["read the payload", "completed"],
        [`hub create ${path}`, "completed"],
        ["send", "completed"],
      ],
    );

    assert.match(path, /^inbox\//);
    const hub = join(system.home, "hub");
    assert.match(readFileSync(join(hub, path), "utf8"), /push/i);
    const git = (...words: string[]) => execFileSync("git", ["-C", hub, ...words], { encoding: "utf8" });
    assert.equal(git("status", "--porcelain"), "");
    const trailers = git("log", "--format=%(trailers)", "--", path).trim().split("\n");
    for (const trailer of [
      `Run: ${run!.id}`,
      `Event: ${id}`,
      `Step: ${run!.id}/hub create ${path}`,
      "Label: untrusted public",
    ])
      assert.ok(trailers.includes(trailer), `${trailer} in ${trailers}`);
  });

  await t.test("the same delivery again is 200 with the first id, and no second run", async () => {
    const first = await post(door("echo"), echo(-1));
    assert.equal(first.status, 202);
    for (let time = 0; time < 3; time++) {
      const again = await post(door("echo"), echo(-1));
      assert.deepEqual([again.status, again.body], [200, { id: first.body.id, duplicate: true }]);
    }
    assert.equal(await count("echo"), 1);
    assert.equal((await database.query("select from runs where event_id = $1", [first.body.id])).length, 1);
  });

  await t.test(
    "a bad signature is 401, an unknown source 404, a source without a secret 503, and nothing is kept",
    async () => {
      const before = (await database.query("select from events")).length;
      const answers = [
        await post(door("github"), await github("push", "{}", { "x-hub-signature-256": `sha256=${"0".repeat(64)}` })),
        await post(door("github"), await github("push", "{}", { "x-hub-signature-256": "" })),
        await post(door("echo"), echo(1, { "x-signature": (echo(2).headers["x-signature"] as string)! })),
        await post(door("nobody"), echo(1)),
        await post(door("quiet"), echo(1)),
      ];
      assert.deepEqual(
        answers.map(({ status, body }) => [status, body.error?.code]),
        [
          [401, "webhook.unverified"],
          [401, "webhook.unverified"],
          [401, "webhook.unverified"],
          [404, "source.missing"],
          [503, "source.unready"],
        ],
      );
      assert.ok(answers[4]!.headers["retry-after"]);
      assert.equal((await database.query("select from events")).length, before);
      const refusals = await until("the refusals are counted", async () => {
        const rows = await database.query(
          "select source, reason, count from refusals where reason <> 'duplicate' order by 1, 2",
        );
        return rows.length === 4 && rows;
      });
      assert.deepEqual(refusals, [
        { source: "echo", reason: "signature wrong", count: 1 },
        { source: "github", reason: "signature missing", count: 1 },
        { source: "github", reason: "signature wrong", count: 1 },
        { source: "quiet", reason: "secret missing", count: 1 },
      ]);
    },
  );

  await t.test(
    "what is asked for in the name of a stranger leaves no row behind, whatever becomes of the body",
    async () => {
      const rows = async () => await database.query("select source from refusals where source like 'stranger%'");
      const socket = connectSocket(Number(new URL(daimon.url).port), "127.0.0.1");
      socket.write("POST /hooks/stranger1 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
      await sleep(100);
      socket.destroy();
      assert.equal((await post(door("stranger2"), { body: ["a", "b"] })).status, 404);
      assert.equal((await post(door("stranger3"), { body: "a".repeat(3 << 20) })).status, 404);
      await sleep(200);
      assert.deepEqual(await rows(), []);
    },
  );

  await t.test("a body over the limit is 413, with its length told and without, and its sender hears it", async () => {
    const large = Buffer.alloc(8 << 20, 32);
    const parts = Array.from({ length: 80 }, (_, part) => large.subarray(part * 100_000, (part + 1) * 100_000));
    const before = await count("echo");
    for (let time = 0; time < 10; time++) {
      for (const body of [large, parts, large.subarray(0, (1 << 20) + 1)]) {
        const answer = await post(door("echo"), { ...echo(1), body });
        assert.deepEqual([answer.status, answer.body.error?.code], [413, "request.large"]);
      }
    }
    const full = Buffer.from(`"${"x".repeat((1 << 20) - 2)}"`);
    const signature = createHmac("sha256", SECRETS.ECHO_SECRET).update(full).digest("hex");
    const most = { ...echo(1, { "x-event": "full", "x-signature": signature, "x-delivery": "full" }), body: full };
    assert.equal((await post(door("echo"), most)).status, 202);
    assert.equal(await count("echo"), before + 1);
  });

  await t.test("malformed JSON under a right signature is kept, and its run fails with a sentence", async () => {
    const answer = await post(door("github"), await github("push", '{"ref": "refs/heads/main",'));
    assert.equal(answer.status, 202);
    const event = await until("its run failed", async () => {
      const shown = await system.daimon<{
        problem: string;
        runs: { status: string; error: { message: string; next: string } }[];
      }>(...["events", "show", answer.body.id!]);
      return shown.runs[0]?.status === "failed" && shown;
    });
    assert.match(event.runs[0]!.error.message, /^The body is not JSON: .*\.$/);
    assert.ok(event.runs[0]!.error.next);
  });

  await t.test("of two thousand posts at once each one that is acked is there, with its run", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 400 });
    t.after(() => agent.destroy());
    const numbers = Array.from({ length: 2000 }, (_, n) => n + 10_000);
    const answers = await Promise.all(numbers.map((n) => post(door("echo"), { ...echo(n), agent })));
    assert.deepEqual(
      answers.filter(({ status }) => status !== 202),
      [],
    );
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 2000);
    const missing = async () =>
      await database.query(
        `select g.id from unnest($1::text[]) g(id) where not exists (
           select from runs r join steps s on s.run_id = r.id where r.event_id = g.id and r.status = 'completed' and s.status = 'completed')`,
        [answers.map(({ body }) => body.id)],
      );
    await until("all runs are completed", async () => (await missing()).length === 0, { seconds: 60 });
    const doubled = "select event_id from runs where event_id = any($1) group by 1 having count(*) > 1";
    assert.deepEqual(await database.query(doubled, [answers.map(({ body }) => body.id)]), []);
  });

  await t.test("while the database is stopped senders are told 503, and nothing is lost when it is back", async () => {
    const acked = new Map<number, string>();
    const refused: Answer[] = [];
    const deliver = async (n: number) => {
      for (;;) {
        const answer = await post(door("echo"), echo(n));
        if (answer.status < 300) return void acked.set(n, answer.body.id!);
        refused.push(answer);
        await sleep(200);
      }
    };
    const deliveries: Promise<void>[] = [];
    for (let n = 20_000; n < 20_150; n++) {
      if (n === 20_050) await server.stop();
      if (n === 20_100) {
        await until("senders are told", () => refused.length > 20);
        assert.equal((await fetch(`${daimon.url}/healthz`)).status, 200);
        server = await startDatabase(given, openLog({}));
      }
      deliveries.push(deliver(n));
      await sleep(5);
    }
    await Promise.all(deliveries);
    for (const { status, headers } of refused) assert.deepEqual([status, headers["retry-after"]], [503, "5"]);
    assert.equal(daimon.ended(), undefined);
    const kept = await database.query<{ n: number; id: string; runs: number }>(
      `select substr(key, 6)::integer as n, id, (select count(*) from runs where event_id = e.id) as runs
       from events e where source = 'echo' and key like 'echo 20___' order by n`,
    );
    assert.deepEqual(
      kept.map(({ n, id, runs }) => [n, id, runs]),
      [...acked].sort(([one], [other]) => one - other).map(([n, id]) => [n, id, 1]),
    );
    assert.equal(kept.length, 150);
    const unfinished = "select from runs where finished_at is null";
    await until("all runs are finished", async () => (await database.query(unfinished)).length === 0);
    assert.deepEqual(
      [...new Set((await finished("echo")).map(({ status }) => status))],
      ["completed"],
      "a database that was away has failed no run",
    );
  });

  await t.test("a body that does not come in time is 408", async () => {
    assert.match(await slow, /^HTTP\/1\.1 408 /);
  });

  await t.test("a stop in the middle of deliveries loses none that was acked", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 50 });
    t.after(() => agent.destroy());
    const ids: string[] = [];
    let sent = 30_000;
    let over = false;
    const senders = Array.from({ length: 20 }, async () => {
      while (!over) {
        const answer = await post(door("echo"), { ...echo(sent++), agent }).catch(() => undefined);
        if (answer?.status === 202) ids.push(answer.body.id!);
        else await sleep(20);
      }
    });
    await until("it is at work", () => ids.length > 100);
    assert.equal(await daimon.stop(), 0);
    over = true;
    await Promise.all(senders);
    const lost = "select g.id from unnest($1::text[]) g(id) where not exists (select from runs where event_id = g.id)";
    assert.deepEqual(await database.query(lost, [ids]), []);
    assert.deepEqual(await database.query("select from runs where status = 'running'"), [], "all is let go");
    assert.deepEqual(await database.query("select from processes"), []);
  });
  await server.stop();
});
