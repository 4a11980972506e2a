import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { sign } from "@octokit/webhooks-methods";
import { STRANGER } from "../../core/define/label.ts";
import { testHouse } from "../../core/test/house.ts";
import { sampleEvents } from "../../core/test/samples.ts";
import { toEvents } from "../../core/triggers/event.ts";
import { verify } from "../../core/triggers/verify.ts";
import { readers } from "./entries.ts";
import capability from "./index.ts";

const SAMPLES = Object.keys(readers) as (keyof typeof readers)[];
const sample = (type: string) => readFile(join(import.meta.dirname, "samples", `${type}.json`));
const webhook = capability.webhooks![0]!;

async function requestOf(type: string, secret: string) {
  const body = await sample(type);
  const headers = {
    "content-type": "application/json",
    "x-github-event": type.split(".")[0]!,
    "x-github-delivery": `delivery-${type}`,
    "x-hub-signature-256": await sign(secret, body.toString()),
  };
  return { method: "POST", url: "/hooks/github", headers, body };
}

test("what GitHub's own library signs is let in, under the type and the key that GitHub gave it", async () => {
  for (const type of SAMPLES) {
    const request = await requestOf(type, "It's a Secret to Everybody");
    const judge = (secret: string) => verify(request, webhook.verify, { secrets: [secret], now: new Date() });
    assert.deepEqual([judge("It's a Secret to Everybody"), judge("another")], [null, "signature wrong"]);
    const brought = toEvents(webhook, request);
    assert.ok("event" in brought);
    assert.deepEqual([brought.event.type, brought.event.key], [type, `delivery-${type}`]);
  }
});

test("each recorded payload becomes one run, one committed note and one message to the owner", async (t) => {
  const { house, send } = await testHouse(t);
  for (const type of SAMPLES) {
    const data = JSON.parse((await sample(type)).toString());
    const run = await send({ source: "github", type, data });
    assert.equal(run.status, "completed", JSON.stringify(run.error));
    const { path } = run.result as { path: string };
    assert.deepEqual(
      run.steps.map((step) => step.key),
      type === "issues.opened"
        ? ["read the payload", `hub create ${path}`, "triage/model", "triage/answer", `hub append ${path}`, "send"]
        : ["read the payload", `hub create ${path}`, "send"],
    );
    const note = await house.hub.read(path);
    assert.match(note.text, /^---\n[\s\S]*trust: untrusted\n[\s\S]*---\n\n# /);
    assert.equal((await house.hub.label(path)).integrity, "untrusted");
  }
  const log = execFileSync("git", ["log", "--format=%s %(trailers:key=Run)"], {
    cwd: house.hub.root,
  }).toString();
  assert.match(log, /^github: Codertocat opened issue #1 in Codertocat\/Hello-World Run: run_/m);
  assert.equal(log.match(/^github: (?!triage)/gm)?.length, SAMPLES.length);
});

test("a payload that is not as GitHub documents it fails with a sentence, and nothing is filed", async (t) => {
  const { house, until } = await testHouse(t);
  const data = { action: "opened", issue: 1 };
  const event = { source: "github", type: "issues.opened", data, label: STRANGER };
  const { runIds } = await house.runs.dispatch(event);
  const { error, steps } = await until(runIds[0]!, /failed|waiting/);
  assert.match(error!.message, /This is no issues\.opened as github documents it: "repository" is wrong/);
  assert.deepEqual(
    steps.map((step) => [step.key, step.status]),
    [["read the payload", "failed"]],
  );
});

test("a push says what it did: commits, a new tag, a deleted branch", async () => {
  const push = JSON.parse((await sample("push")).toString());
  const [event] = await sampleEvents({ capability, folder: import.meta.dirname }, "push");
  const said = (change: object) => readers.push({ ...event!, data: { ...push, ...change } }).summary;
  assert.equal(said({}), "Codertocat pushed 1 commit to branch master of Codertocat/Hello-World");
  assert.match(said({ ref: "refs/tags/v1", commits: [], created: true }), /^Codertocat created tag v1 of/);
  assert.match(
    said({ ref: "refs/heads/old/way", deleted: true, created: false }),
    /^Codertocat deleted branch old\/way of/,
  );
});
