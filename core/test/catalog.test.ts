import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { before, type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { ROOT } from "../base/environment.ts";
import type { Capability } from "../define/capability.ts";
import type { RawRequest } from "../define/event.ts";
import { secretsOf, type Webhook } from "../define/webhook.ts";
import { toRequest } from "../house/samples.ts";
import { signRequest } from "../triggers/sign.ts";
import type { Outcome } from "./cli.ts";
import { testDatabase } from "./database.ts";
import { readServer, type System, testSystem, until } from "./system.ts";

/** All that is shipped: what is installed, and what can be added. A new folder is tested by being there. */
const FOLDERS = ["capabilities", "catalog"].flatMap((place) =>
  readdirSync(join(ROOT, place), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, place, folder: join(ROOT, place, name) })),
);

interface Shipped {
  readonly name: string;
  readonly place: string;
  readonly folder: string;
  readonly capability: Capability;
}

const shipped = new Map<string, Shipped>();

before(async () => {
  for (const { name, place, folder } of FOLDERS) {
    const module = (await import(pathToFileURL(join(folder, "index.ts")).href)) as { default: Capability };
    shipped.set(name, { name, place, folder, capability: module.default });
  }
});

test("everything that is shipped is added by a command, takes its samples and refuses what is not its sender's", async (t) => {
  const { url } = await testDatabase(t);
  const system = testSystem(t, { DATABASE_URL: url });
  const all = [...shipped.values()];
  const keys = writeSecrets(system, all);
  const daimon = openCommands(t, system);
  for (const { name, place, folder } of all) {
    const { code, stdout, stderr } = await daimon("add", place === "catalog" ? name : folder, "--yes");
    assert.equal(code, 0, `daimon add ${name}: ${stderr}`);
    assert.match(stdout, new RegExp(`^${name} is installed\\.$`, "m"));
  }
  await system.start();
  const listed = JSON.parse((await daimon("list", "--json")).stdout) as { items: { name: string; problem: unknown }[] };
  assert.deepEqual(
    listed.items.map(({ name, problem }) => [name, problem]).sort(),
    all.map(({ name }) => [name, null]).sort(),
  );
  const doctor = JSON.parse((await daimon("doctor", "--json")).stdout) as { checks: { name: string; state: string }[] };
  for (const check of doctor.checks.filter(({ name }) => name.startsWith("source")))
    assert.equal(check.state, "ok", JSON.stringify(check));

  const heard = listenFor(t, system);
  for (const one of all) {
    await t.test(`${one.place}/${one.name}`, async () => {
      for (const webhook of one.capability.webhooks ?? []) await trySource({ ...one, webhook, system, daimon, keys });
    });
  }
  const sources = all.flatMap(({ capability }) => (capability.webhooks ?? []).map(({ source }) => source));
  await until("daimon listen has printed an event of each source", () => sources.every((source) => heard.has(source)));
});

interface Tried extends Shipped {
  readonly webhook: Webhook;
  readonly system: System;
  readonly daimon: Daimon;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

interface Deliveries {
  readonly deliveries: readonly { status: number; body: { id?: string; error?: { message: string } } }[];
}

/** Each sample of one source, right and wrong, as `daimon send` and as a stranger sends it. */
async function trySource(tried: Tried): Promise<void> {
  const { webhook, daimon, system } = tried;
  const { source } = webhook;
  const samples = samplesOf(tried);
  const types = [...samples.keys()];
  assert.ok(types.length > 0, `${tried.place}/${tried.name} has no sample for its source "${source}": ${HOW(tried)}`);
  const accepted = webhook.replies?.accepted?.[0]?.status ?? 202;
  const send = async (...words: string[]) => {
    const { code, stdout, stderr } = await daimon("send", source, ...words, "--json");
    assert.equal(code, 0, `daimon send ${source} ${words.join(" ")}: ${stderr}`);
    return (JSON.parse(stdout) as Deliveries).deliveries;
  };
  for (const type of types) {
    const [first, again] = await send(type, "--duplicate");
    assert.deepEqual([first?.status, again?.status], [accepted, 200], `${source} ${type}`);
    assert.ok(first?.body.id && again?.body.id === first.body.id, `${source} ${type}: the same delivery is one event`);
    await isCarried(tried, first.body.id, type);
    const [spoilt] = await send(type, "--bad-signature");
    assert.equal(spoilt?.status, webhook.replies?.refused?.status ?? 401, `${source} ${type}`);
    assert.match(spoilt?.body.error?.message ?? "", /signature wrong/);
  }
  const more = await send(types[0]!, "--times", "3");
  assert.equal(new Set(more.map(({ body }) => body.id)).size, 3, `${source}: three deliveries are three events`);
  writeFileSync(join(system.home, "sample.json"), samples.get(types[0]!)!);
  const [whole] = await send(types[0]!, "--data", `@${join(system.home, "sample.json")}`);
  assert.ok(whole?.body.id, `${source}: a payload out of a file`);

  const reasons = ["duplicate", "signature wrong", ...(await postWrongs(tried, types[0]!))];
  await until(`the console shows why ${source} refused: ${reasons.join(", ")}`, async () => {
    const known = await refusals(system, source);
    return reasons.every((reason) => known.includes(reason));
  });
}

const HOW = ({ webhook, capability }: Tried) =>
  `write samples/${webhook === capability.webhooks![0] ? "" : `${webhook.source}/`}<type>.json.`;

/** The recorded payloads of the tried source, by their types. */
function samplesOf({ folder, capability, webhook }: Tried): Map<string, string> {
  const sources = capability.webhooks!.map(({ source }) => source);
  const home = join(folder, "samples");
  const files = existsSync(home) ? readdirSync(home, { recursive: true, encoding: "utf8" }) : [];
  const own = files.flatMap((file): [string, string][] => {
    const named = sources.find((source) => file.startsWith(`${source}/`));
    if (!file.endsWith(".json") || (named ?? sources[0]) !== webhook.source) return [];
    return [[file.slice(named ? named.length + 1 : 0, -".json".length), readFileSync(join(home, file), "utf8")]];
  });
  return new Map(own);
}

/** The event has runs, and each comes to its end, or waits for a time or a person, and leaves what the owner can see. */
async function isCarried({ system, webhook: { source } }: Tried, id: string, type: string): Promise<void> {
  type Detail = {
    type: string;
    outcome: string;
    reason: string | null;
    runs: { status: string; error: unknown; waiting: { kind: string } | null; steps: { kind: string }[] }[];
  };
  const event = await until(`the runs of ${source} ${type} are carried`, async () => {
    const now = await ask<Detail>(system, `/api/events/${id}`);
    const open = now.runs.some(({ status, waiting }) => /queued|running/.test(status) || waiting?.kind === "retry");
    return open ? undefined : now;
  });
  assert.deepEqual([event.type, event.outcome], [type, "dispatched"], `${source} ${type}: ${event.reason}`);
  for (const run of event.runs) {
    assert.match(run.status, /completed|waiting/, `${source} ${type}: ${JSON.stringify(run.error)}`);
    const left = run.steps.filter(({ kind }) => ["hub", "send", "emit", "approval"].includes(kind));
    assert.ok(left.length > 0, `${source} ${type}: its run left nothing that the owner can see`);
  }
}

/** Posts what is not signed, changed after signing, and signed long ago. Returns the reasons that the console must show. */
async function postWrongs(tried: Tried, type: string): Promise<string[]> {
  const { webhook, system, keys } = tried;
  const { verify } = webhook;
  const recorded = JSON.parse(samplesOf(tried).get(type)!);
  const request = toRequest(webhook, { recorded, data: undefined, type, key: crypto.randomUUID() });
  const { url } = readServer(system.home);
  const refused = webhook.replies?.refused?.status ?? 401;
  const post = async (wrong: RawRequest, what: string) => {
    const { headers, method, body } = wrong;
    const response = await fetch(url + wrong.url, { method, headers, body: Buffer.from(body) });
    assert.equal(response.status, refused, `${webhook.source}: ${what}`);
  };
  const bare = "data" in verify ? request : { ...request, headers: without(request.headers, headerOf(webhook)) };
  if (!("data" in verify)) await post(bare, "without a signature");
  const reasons = "data" in verify ? [] : ["signature missing"];
  if (verify.scheme !== "hmac" && verify.scheme !== "ed25519") return reasons;

  const secret = secretIn(system, verify.secret);
  const sign = (now: Date) =>
    signRequest(request, verify, { secret, privateKey: keys.get(verify.secret), now, publicUrl: url });
  if (verify.timestamp) {
    await post(sign(new Date(Date.now() - 3_600_000)), "signed an hour ago");
    await post(sign(new Date(Date.now() + 3_600_000)), "signed in an hour");
    reasons.push("timestamp too far from now");
  }
  const signed = sign(new Date());
  const coversBody = /\{(body|form)\}/.test(verify.signed ?? "{body}");
  const at = signed.body.length >> 1;
  const changed = Buffer.from(signed.body);
  changed[at]! ^= 1;
  if (coversBody) await post({ ...signed, body: changed }, "with one bit changed");
  return reasons;
}

function headerOf({ verify }: Webhook): string {
  return "header" in verify ? verify.header.toLowerCase() : "authorization";
}

const without = (headers: RawRequest["headers"], name: string) =>
  Object.fromEntries(Object.entries(headers).filter(([header]) => header !== name));

/** Writes into `home/.env` what a person has from each sender. Returns the private halves of the public keys. */
function writeSecrets(system: System, all: readonly Shipped[]): Map<string, KeyObject> {
  const keys = new Map<string, KeyObject>();
  const values = new Map<string, string>();
  for (const { capability } of all) {
    for (const webhook of capability.webhooks ?? []) {
      for (const name of secretsOf(webhook)) if (!values.has(name)) values.set(name, `the secret of ${name}`);
      const { verify } = webhook;
      if (verify.scheme === "hmac" && verify.key) values.set(verify.secret, `${verify.key.prefix ?? ""}${WHSEC}`);
      if (verify.scheme !== "ed25519") continue;
      const { publicKey, privateKey } = generateKeyPairSync("ed25519");
      const { encoding = "base64", prefix = "" } = verify.key ?? {};
      const raw = Buffer.from(publicKey.export({ format: "jwk" }).x!, "base64url");
      values.set(verify.secret, prefix + raw.toString(encoding));
      keys.set(verify.secret, privateKey);
    }
    for (const { name, required, generate } of capability.secrets ?? [])
      if (!generate && required !== false && !values.has(name)) values.set(name, `the secret of ${name}`);
  }
  const lines = [...values].map(([name, value]) => `${name}="${value}"\n`);
  writeFileSync(join(system.home, ".env"), lines.join(""), { mode: 0o600 });
  return keys;
}

const WHSEC = Buffer.from("a secret of twenty-four.").toString("base64");

const secretIn = ({ home }: System, name: string) =>
  new RegExp(`^${name}="?([^"\n]*)`, "m").exec(readFileSync(join(home, ".env"), "utf8"))![1]!;

type Daimon = (...words: string[]) => Promise<Outcome>;

/** `daimon <words>`, all of them in one process. */
function openCommands(t: TestContext, { home, capabilities }: System): Daimon {
  const child: ChildProcess = spawn(process.execPath, [join(ROOT, "core/test/commands.ts")], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: home, DAIMON_HOME: home, DAIMON_CAPABILITIES: capabilities },
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return async (...words) => {
    child.stdin!.write(`${JSON.stringify(words)}\n`);
    const { value, done } = await lines.next();
    assert.ok(!done, `the process ended at: daimon ${words.join(" ")}`);
    return JSON.parse(value) as Outcome;
  };
}

/** The sources of what `daimon listen` prints. */
function listenFor(t: TestContext, { home }: System): Set<string> {
  const heard = new Set<string>();
  const child = spawn(process.execPath, [join(ROOT, "bin/daimon.js"), "listen", "--json"], {
    env: { PATH: process.env.PATH, HOME: home, DAIMON_HOME: home },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  createInterface({ input: child.stdout }).on("line", (line) => heard.add(JSON.parse(line).source));
  return heard;
}

async function ask<Answer>({ home }: System, path: string): Promise<Answer> {
  const { url, token } = readServer(home);
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return (await response.json()) as Answer;
}

async function refusals(system: System, source: string): Promise<string[]> {
  const { items } = await ask<{ items: { source: string; reason: string }[] }>(system, "/api/refusals");
  return items.filter((item) => item.source === source).map(({ reason }) => reason);
}

test("each capability says what it is, how it is set up, and stands in the page of what can be added", () => {
  const page = readFileSync(join(ROOT, "docs/reference/catalog.md"), "utf8");
  for (const { name, place, folder, capability } of shipped.values()) {
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    assert.match(readme, new RegExp(`^# ${name}$`, "m"), `${place}/${name}/README.md`);
    assert.ok(
      page.includes(`../../${place}/${name}/README.md`),
      `docs/reference/catalog.md does not name ${place}/${name}`,
    );
    for (const { source } of capability.webhooks ?? [])
      assert.ok(readme.includes(`/hooks/${source}`), `${place}/${name}/README.md does not name /hooks/${source}`);
    for (const secret of capability.secrets ?? [])
      assert.ok(readme.includes(secret.name), `${place}/${name}/README.md does not name ${secret.name}`);
  }
});
