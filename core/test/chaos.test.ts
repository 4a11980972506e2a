import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Brain } from "../models/demo/server.ts";
import type { Database } from "../store/database.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";
import { createChance } from "./chance.ts";
import { AGENT, CAPABILITY, kindOf, SECRET } from "./chaos.ts";
import { dataOf } from "./embedded.ts";
import { scriptedModel } from "./models.ts";
import { deliver, type Kill, killPostgres, superviseRoles } from "./roles.ts";
import { readServer, type System, testConnection, testSystem, until } from "./system.ts";

const EVENTS = 300;
const CONVERSATIONS = 30;
const KILLS = { worker: 9, postgres: 7, web: 5, clock: 3 };
/** A kill may come so long before a step begins, and still be the reason that it is not kept. */
const GRACE_MILLISECONDS = 8000;
/** The storm fails when nothing is killed, acked, answered or done for so long. */
const STILL_MILLISECONDS = 60_000;

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

/** A line of the effects' file: something was done, whether or not it was kept afterwards. */
interface Effect {
  readonly of: string;
  readonly name: string;
  readonly nonce: string;
  readonly at: number;
  readonly pid: number;
}

/** Sends one delivery as GitHub would: again and again under the same key, until it is acked. */
async function deliverOne(
  home: string,
  n: number,
  counts: { refused: number; duplicates: number; over: boolean },
): Promise<string> {
  const body = Buffer.from(kindOf(n) === "unreadable" ? `{"n": ${n}` : JSON.stringify({ n, of: Math.floor(n / 10) }));
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = { "x-event": kindOf(n), "x-delivery": `delivery ${n}`, "x-signature": signature };
  const { status, id } = await deliver(home, () => ({ method: "POST", url: "/hooks/chaos", headers, body }), counts);
  if (status === 200) counts.duplicates++;
  return id;
}

/** Asks in a conversation until the question is acked, then until it is answered. */
async function ask(home: string, text: string, counts: { over: boolean }, conversation?: string) {
  const api = async (path: string, body?: object) => {
    const { url, token } = readServer(home);
    return await fetch(url + path, {
      signal: AbortSignal.timeout(20_000),
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
    });
  };
  const patiently = async <Value>(code: () => Promise<Value | undefined>): Promise<Value> => {
    for (;;) {
      assert.ok(!counts.over, `"${text}" was not answered`);
      const value = await code().catch(() => undefined);
      if (value !== undefined) return value;
      await sleep(200);
    }
  };
  const asked = await patiently(async () => {
    const answer = await api("/api/chat", { text, agent: "chaos", ...(conversation ? { conversation } : {}) });
    let said = "";
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      said += chunk;
      const found = /^event: run\ndata: (.*)$/m.exec(said);
      if (found) return JSON.parse(found[1]!) as { runId: string; conversation: string };
    }
    return undefined;
  });
  await patiently(async () => {
    const run = (await (await api(`/api/runs/${asked.runId}`)).json()) as { status: string };
    return ["completed", "failed", "canceled"].includes(run.status) || undefined;
  });
  return asked;
}

/** Calls both tools, then tells what became of them. Each reply carries a nonce, so that a kept one is known again. */
function createBrain() {
  let count = 0;
  const replies: { step: string; nonce: string; at: number; unknown: number }[] = [];
  const brain: Brain = async ({ messages, step }) => {
    const nonce = `n${++count}n`;
    const last = JSON.stringify(messages.at(-1)!.content);
    const unknown = last.match(/[Oo]utcome unknown/g)?.length ?? 0;
    replies.push({ step: step!, nonce, at: Date.now(), unknown });
    const delay = 60 + ((count * 37) % 200);
    if (last.includes("tool_result")) return { text: `Done, ${unknown} unknown. ${nonce}`, delay };
    const call = (name: string) => ({ name, input: { what: nonce }, id: `toolu_${name}_${nonce}` });
    return { text: `I do it. ${nonce}`, toolCalls: [call("strike"), call("note")], delay };
  };
  return { brain, replies };
}

async function storm(system: System, chance: () => number, effects: () => Effect[]) {
  const roles = superviseRoles(system);
  await until("all are ready", async () => {
    await Promise.all(["web", "worker", "clock"].map((role) => roles.current(role).ready));
    return true;
  });
  const deck = Object.entries(KILLS).flatMap(([what, count]) => Array<string>(count).fill(what));
  for (let place = deck.length - 1; place > 0; place--) {
    const other = Math.floor(chance() * (place + 1));
    [deck[place], deck[other]] = [deck[other]!, deck[place]!];
  }
  const kills: Kill[] = [];
  const killing = (async () => {
    for (const what of deck) {
      // Now and then two at once.
      await sleep(chance() < 0.2 ? 20 : 300 + chance() * 1000);
      // Workers die just when a tool has had its effect and it is not recorded yet: the first three wait for one.
      if (what === "worker") {
        const patience = kills.filter((kill) => kill.what === "worker").length < 3 ? 20_000 : 2_000;
        const strikes = () => effects().filter(({ name }) => name === "strike").length;
        const before = strikes();
        for (const end = Date.now() + patience; strikes() === before && Date.now() < end; ) await sleep(5);
      }
      let kill: Kill | undefined;
      while (!kill) {
        kill = what === "postgres" ? killPostgres(system.home) : await roles.kill(what);
        if (!kill) await sleep(50);
      }
      kills.push(kill);
    }
  })();

  const counts = { refused: 0, duplicates: 0, over: false };
  const acked = new Map<number, string>();
  const asked: { runId: string; conversation: string }[] = [];
  const sending = (async () => {
    const deliveries: Promise<unknown>[] = [];
    for (let n = 0; n < EVENTS; n++) {
      // An answer comes after what it answers was acked, as soon as can be.
      const asker = kindOf(n) === "answer" ? deliveries[n - 7] : undefined;
      const delivered = Promise.resolve(asker).then(() => deliverOne(system.home, n, counts));
      deliveries.push(delivered.then((id) => acked.set(n, id)));
      await sleep(20 + chance() * 120);
    }
    await Promise.all(deliveries);
  })();
  const talking = Promise.all(
    Array.from({ length: CONVERSATIONS }, async (_, place) => {
      await sleep(place * 800);
      const first = await ask(system.home, `Question ${place}, please.`, counts);
      const second = await ask(system.home, `Question ${place} again, please.`, counts, first.conversation);
      asked.push(first, second);
    }),
  );
  // However slow the machine is, something is always going on.
  const still = (async () => {
    const told = () => `${kills.length} kills, ${acked.size} events acked, ${asked.length / 2} conversations done`;
    let [before, since] = ["", Date.now()];
    while (Date.now() - since < STILL_MILLISECONDS) {
      await sleep(1000, undefined, { ref: false });
      const now = `${told()}, ${effects().length} effects`;
      if (now !== before) [before, since] = [now, Date.now()];
    }
    counts.over = true;
    assert.fail(`nothing has moved for ${STILL_MILLISECONDS / 1000} s: ${before}`);
  })();
  await Promise.race([Promise.all([killing, sending, talking]), still]);
  return { roles, kills, counts, acked, asked };
}

type Storm = Awaited<ReturnType<typeof storm>>;

interface RunRow {
  readonly id: string;
  readonly event_id: string;
  readonly handler: string;
  readonly status: string;
  readonly claim: number;
  readonly result: unknown;
  readonly error: { code: string; message: string } | null;
  readonly source: string;
  readonly type: string;
  readonly key: string;
}

interface StepRow {
  readonly run_id: string;
  readonly key: string;
  readonly kind: string;
  readonly status: string;
  readonly value: unknown;
}

test("kill -9 of anything at any moment costs nothing", async (t) => {
  console.log(`seed ${SEED} (CHAOS_SEED=${SEED} gives the same kills)`);
  const began = Date.now();
  const { brain, replies } = createBrain();
  const model = await scriptedModel(t, brain);
  const system = testSystem(t, { ...model.values, DAIMON_LEASE_MS: "2000", CHAOS_SECRET: SECRET });
  const file = join(system.home, "effects");
  const effects = (): Effect[] =>
    existsSync(file)
      ? readFileSync(file, "utf8")
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line))
      : [];
  system.install("chaos", { "index.ts": CAPABILITY, "agents/chaos.md": AGENT });

  const passed = await storm(system, createChance(SEED), effects);
  const stormy = Date.now() - began;
  const { socketFolder } = readPidFile(dataOf(system.home))!;
  const database = testConnection(t, { host: socketFolder, user: "daimon", database: "daimon", ssl: false });
  await until("every run has ended", () => allEnded(database), { seconds: 120 });

  const runs = await database.query<RunRow>(
    "select r.*, e.source, e.type, e.key from runs r join events e on e.id = r.event_id order by r.id",
  );
  const steps = await database.query<StepRow>("select * from steps");
  const done = effects();
  await checkEvents(database, passed, runs);
  checkEndings(runs);
  const repeated = checkSteps({ runs, steps, done, kills: passed.kills });
  const tools = checkTools(steps, done);
  const calls = checkModelCalls(steps, replies, passed.kills);
  await checkAnswers(database, passed, runs, steps);
  const filed = await checkHub(database, system, runs);
  const ticks = await checkClock(database);
  assert.deepEqual(passed.roles.told.deaths, [], "no process ended by itself");
  assert.deepEqual(await passed.roles.stop(), [0, 0, 0]);

  const count = (what: string) => passed.kills.filter((kill) => kill.what === what).length;
  tell({
    kills: `${passed.kills.length}: ${Object.keys(KILLS)
      .map((what) => `${what} ${count(what)}`)
      .join(", ")}`,
    "processes started": `${passed.roles.told.starts}, ${passed.roles.told.brokenStarts.length} broke off while starting`,
    "events acked": `${passed.acked.size}, after ${passed.counts.refused} refusals; ${passed.counts.duplicates} were acked as duplicates`,
    "questions acked": `${passed.asked.length} in ${CONVERSATIONS} conversations`,
    runs: `${runs.length}, of which ${runs.filter(({ claim }) => claim > 2).length} were carried more than once`,
    steps: `${steps.length} kept; ${repeated} done again because they were not`,
    "model calls": `${calls.paid} paid, ${calls.kept} kept; ${calls.paid - calls.kept} lost with a process before they were`,
    tools: `${tools.known} known, ${tools.unknown} told as outcome unknown, ${tools.repeated} repeatable ones repeated`,
    hub: `${filed} files in as many commits`,
    ticks: `${ticks}`,
    time: `${Math.round(stormy / 1000)} s of storm, ${Math.round((Date.now() - began) / 1000)} s in all`,
  });
  for (const problem of passed.roles.told.brokenStarts) console.log(problem.slice(0, 300));
});

function tell(facts: Record<string, string>): void {
  for (const [name, fact] of Object.entries(facts)) console.log(`${name.padEnd(18)} ${fact}`);
}

async function allEnded(database: Database): Promise<boolean> {
  const open = "select from runs where status not in ('completed', 'failed', 'canceled')";
  return await database.query(open).then(
    (rows) => rows.length === 0,
    () => false,
  );
}

/** Every acked event is there, once, with its run. */
async function checkEvents(database: Database, { acked }: Storm, runs: readonly RunRow[]): Promise<void> {
  assert.equal(acked.size, EVENTS);
  const kept = await database.query<{ id: string; key: string }>(
    "select id, key from events where source = 'chaos' and key like 'delivery %'",
  );
  assert.equal(kept.length, EVENTS);
  const runsOf = Map.groupBy(runs, (run) => run.event_id);
  for (const { id, key } of kept) {
    assert.equal(acked.get(Number(key.slice(9))), id, key);
    assert.equal(runsOf.get(id)?.length, 1, `${key} has its run`);
  }
  // What a run emits is an event with a run, once.
  const emitters = runs.filter(({ type }) => type === "emitter");
  const emitted = runs.filter(({ type }) => type === "emitted");
  assert.equal(emitted.length, emitters.length);
  assert.equal(new Set(emitted.map(({ key }) => key)).size, emitters.length);
}

/** Every run ended as its kind should. */
function checkEndings(runs: readonly RunRow[]): void {
  for (const run of runs) {
    const what = `${run.handler} ${run.key} ${JSON.stringify(run.error)}`;
    if (run.type === "unreadable")
      assert.deepEqual([run.status, run.error?.code], ["failed", "event.unreadable"], what);
    else if (run.type === "broken") {
      assert.deepEqual([run.status, run.error?.message], ["failed", "Error: as it should"], what);
    } else assert.equal(run.status, "completed", what);
  }
}

/** What was done and is not the last of its step was not kept, and a kill was the reason. Returns how many. */
function checkSteps({ runs, steps, done, kills }: Checked): number {
  const eventOf = new Map(runs.map((run) => [run.id, run.event_id]));
  const doneOf = Map.groupBy(
    done.filter(({ name }) => name !== "strike" && name !== "note"),
    ({ of, name }) => `${of} ${name}`,
  );
  let kept = 0;
  for (const step of steps) {
    const lines = doneOf.get(`${eventOf.get(step.run_id)} ${step.key}`);
    if (!lines) continue;
    assert.equal(step.status, "completed");
    kept++;
    const nonces = lines.map(({ nonce }) => nonce);
    assert.equal(
      nonces.indexOf(step.value as string),
      lines.length - 1,
      `${step.key} was done again after it was kept`,
    );
    for (const [place, line] of lines.slice(0, -1).entries()) assertKilled(line, lines[place + 1]!.at, kills);
  }
  assert.equal(kept, doneOf.size, "what was done was kept in the end");
  return done.length - new Set(done.map(({ of, name }) => `${of} ${name}`)).size;
}

interface Checked {
  readonly runs: readonly RunRow[];
  readonly steps: readonly StepRow[];
  readonly done: readonly Effect[];
  readonly kills: readonly Kill[];
}

function assertKilled(line: { at: number; pid?: number }, again: number, kills: readonly Kill[]): void {
  const reason = kills.some(
    (kill) =>
      kill.at > line.at - GRACE_MILLISECONDS &&
      kill.at < again &&
      (kill.what === "postgres" || line.pid === undefined || kill.pid === line.pid),
  );
  assert.ok(reason, `done again at ${again} without a kill since ${JSON.stringify(line)}`);
}

/** A tool that is not repeatable had its effect once at most; whoever does not know whether, is told so. */
function checkTools(steps: readonly StepRow[], done: readonly Effect[]) {
  const linesOf = Map.groupBy(done, ({ of, name }) => `${name} ${of}`);
  const counts = { known: 0, unknown: 0, repeated: 0 };
  for (const step of steps.filter(({ kind }) => kind === "tool")) {
    const name = step.key.replace(/#\d+$/, "").split("/").at(-1)!;
    const lines = linesOf.get(`${name} ${step.run_id}/${step.key}`)?.length ?? 0;
    const { text, failed } = step.value as { text: string; failed: boolean };
    const unknown = text.includes("Outcome unknown");
    if (name === "strike") assert.ok(unknown ? failed && lines <= 1 : lines === 1, `${text}: ${lines} strikes`);
    else assert.ok(!unknown && lines >= 1, `${text}: ${lines} notes`);
    if (!unknown) assert.equal(text, `${name} done`);
    counts[unknown ? "unknown" : "known"]++;
    counts.repeated += name === "note" ? lines - 1 : 0;
  }
  assert.ok(counts.known > 0 && counts.unknown > 0, "some calls were cut off between effect and record");
  return counts;
}

/** The answer that is kept is that of the last call of its step; an earlier one was lost with a process. */
function checkModelCalls(
  steps: readonly StepRow[],
  replies: readonly { step: string; nonce: string; at: number; unknown: number }[],
  kills: readonly Kill[],
) {
  const callsOf = Map.groupBy(replies, ({ step }) => step);
  const kept = steps.filter(({ kind, status }) => kind === "model" && status === "completed");
  for (const step of kept) {
    const calls = callsOf.get(`${step.run_id}/${step.key}`)!;
    const { text } = step.value as { text: string };
    assert.ok(text.endsWith(calls.at(-1)!.nonce), `${step.key} was paid again after it was kept: ${text}`);
    for (const [place, call] of calls.slice(0, -1).entries()) assertKilled(call, calls[place + 1]!.at, kills);
  }
  assert.equal(kept.length, callsOf.size, "what was paid was kept in the end");
  return { paid: replies.length, kept: kept.length };
}

/** Every acked question has one answer, and it is the one that was kept. */
async function checkAnswers(
  database: Database,
  { asked }: Storm,
  runs: readonly RunRow[],
  steps: readonly StepRow[],
): Promise<void> {
  assert.equal(asked.length, 2 * CONVERSATIONS);
  const messages = await database.query<{ run_id: string; text: string }>(
    "select run_id, text from messages where direction = 'out'",
  );
  const messagesOf = Map.groupBy(messages, (message) => message.run_id);
  for (const { runId } of asked) {
    const [message, ...more] = messagesOf.get(runId) ?? [];
    assert.deepEqual(more, [], "one answer");
    const answer = steps.find((step) => step.run_id === runId && step.key === "model#2")!.value as { text: string };
    assert.equal(message?.text, answer.text);
    const unknown = steps.filter(
      ({ run_id, kind, value }) => run_id === runId && kind === "tool" && (value as { failed: boolean }).failed,
    ).length;
    assert.match(answer.text, new RegExp(`^Done, ${unknown} unknown`), "the model was told");
  }
  for (const run of runs.filter(({ type }) => type === "filer")) {
    assert.equal(messagesOf.get(run.id)?.length, 1, "one message of each filer");
  }
}

/** Each filer has made one file in one commit, and the hub is whole. Returns how many. */
async function checkHub(database: Database, system: System, runs: readonly RunRow[]): Promise<number> {
  const hub = join(system.home, "hub");
  const git = (...words: string[]) => execFileSync("git", ["-C", hub, ...words], { encoding: "utf8" });
  const commits = git("log", "--format=%(trailers:key=Step,valueonly,separator=%x20)").split("\n").filter(Boolean);
  const filers = runs.filter(({ type }) => type === "filer");
  assert.deepEqual(commits.sort(), filers.map((run) => `${run.id}/hub create inbox/${run.event_id}.md`).sort());
  assert.equal(git("status", "--porcelain"), "");
  git("fsck", "--strict");
  for (const run of filers) assert.ok(existsSync(join(hub, `inbox/${run.event_id}.md`)));
  assert.ok(await database.query("select 1"));
  return filers.length;
}

/** Each minute has fired once, none is missing. Returns how many. */
async function checkClock(database: Database): Promise<number> {
  const ticks = await database.query<{ time: Date }>("select time from events where source = 'schedule' order by time");
  for (const [place, { time }] of ticks.slice(1).entries()) {
    assert.equal(time.getTime() - ticks[place]!.time.getTime(), 60_000);
  }
  return ticks.length;
}
