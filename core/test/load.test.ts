/**
 * Deliveries of every sender, each sent one to three times while web, worker and database are killed. DAIMON_LOAD says
 * how many (default 600), LOAD_SEED gives the same ones and the same kills again.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RawRequest } from "../define/event.ts";
import { type Scheme, schemes } from "../define/schemes.ts";
import type { Database } from "../store/database.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";
import { createChance } from "./chance.ts";
import { dataOf } from "./embedded.ts";
import { deliver, type Kill, killPostgres, superviseRoles } from "./roles.ts";
import { type Sender, senders } from "./senders.ts";
import { type System, testConnection, testSystem, until } from "./system.ts";

const COUNT = Number(process.env.DAIMON_LOAD ?? 600);
const SEED = Number(process.env.LOAD_SEED ?? Date.now() % 1_000_000);
const LANES = 32;
const VICTIMS = ["web", "postgres", "worker"] as const;
/** How often each of them is killed. */
const KILLS = COUNT > 5000 ? 6 : 1;
const ITEMS = 3;

interface Source {
  readonly name: string;
  readonly sender: Sender;
  readonly scheme: Scheme;
  /** Handlers that each of its events is for. */
  readonly handlers: readonly string[];
  /** Events that one delivery brings. */
  readonly events: number;
  body(mark: string): Buffer;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
/** Senders of which one delivery brings several events. */
const BATCHES: Readonly<Record<string, (ids: readonly string[]) => unknown>> = {
  meta: (ids) => ({
    entry: [{ changes: [{ field: "messages", value: { messages: ids.map((id) => ({ id, type: "text" })) } }] }],
  }),
  kit: (ids) => ({ events: ids.map((id) => ({ id, type: "subscriber.created" })) }),
  hubspot: (ids) =>
    ids.map((objectId) => ({ eventId: 1, objectId, subscriptionType: "contact.creation", occurredAt: 1 })),
};
/** What triggers want, where it is not just one run for each event. */
const WANTED: Readonly<Record<string, number>> = { calcom: 0, generic: 0, github: 2, stripe: 2, meta: 2 };

const sources: readonly Source[] = senders.map((sender) => {
  const name = sender.name.toLowerCase().replace(/\W+/g, "-");
  const batch = BATCHES[sender.name];
  const wanted = WANTED[sender.name] ?? 1;
  return {
    ...{ name, sender, scheme: schemes[sender.scheme] },
    handlers: Array.from({ length: wanted }, (_, place) => `trigger:load/${name}-${place + 1}`),
    events: batch ? ITEMS : 1,
    body: (mark) => (batch ? json(batch(["a", "b", "c"].map((letter) => mark + letter))) : sender.body(mark)),
  };
});

/** A webhook for each sender; `certs` is where Google's keys are. */
function capability(certs: string): string {
  const webhooks = sources.map(({ name, scheme: { verify, ...rest } }) => ({
    ...{ source: name, ...rest, verify: "keys" in verify ? { ...verify, keys: certs } : verify },
  }));
  const secrets = [...new Set([...JSON.stringify(webhooks).matchAll(/"secret":"(\w+)"/g)].map(([, name]) => name!))];
  return `
import { defineCapability, defineTrigger } from "daimon";

const trigger = (source: string, name: string, where = {}) =>
  defineTrigger({ name, on: { source, where }, run: async ({ event, step }) => await step.run("keep", () => event.id) });

export default defineCapability({
  name: "load",
  description: "Takes what every sender sends.",
  webhooks: ${JSON.stringify(webhooks)},
  triggers: [
    ...${JSON.stringify(sources.flatMap(({ name, handlers }) => handlers.map((handler) => [name, handler.slice(13)])))}
      .map(([source, name]) => trigger(source!, name!)),
    trigger("generic", "filtered", { n: 2 }),
  ],
  secrets: ${JSON.stringify(secrets.map((name) => ({ name, description: "Signs" })))},
} as never);
`;
}

const secretsOf = (): Record<string, string> => ({
  WHATSAPP_VERIFY_TOKEN: "a token",
  YOUTUBE_VERIFY_TOKEN: "a token",
  ...Object.fromEntries(sources.map(({ scheme, sender }) => [scheme.verify.secret, sender.pens.right.verifies])),
});

interface Delivery {
  readonly source: Source;
  readonly body: Buffer;
  readonly copies: number;
  /** The ids that its copies were acked with. */
  readonly ids: Set<string>;
}

function makeDeliveries(chance: () => number): Delivery[] {
  const seen = new Set<string>();
  const deliveries: Delivery[] = [];
  for (let n = 0; deliveries.length < COUNT; n++) {
    const source = sources[deliveries.length % sources.length]!;
    const body = source.body(`d${n}`);
    // Telegram's mark is a number with few digits.
    const text = `${source.name} ${body.toString("latin1")}`;
    if (seen.has(text)) continue;
    seen.add(text);
    deliveries.push({ source, body, copies: 1 + Math.floor(chance() * 3), ids: new Set() });
  }
  return deliveries;
}

/** All copies in the order in which they are sent: some at once, some long after the first. */
function shuffle(deliveries: readonly Delivery[], chance: () => number): Delivery[] {
  return deliveries
    .flatMap((delivery, place) =>
      Array.from({ length: delivery.copies }, (_, copy) => {
        const later = chance() < 0.5 ? chance() : chance() * COUNT * 0.3;
        return { delivery, at: place + (copy === 0 ? 0 : later) };
      }),
    )
    .sort((one, other) => one.at - other.at)
    .map(({ delivery }) => delivery);
}

/** As its sender posts it to the server at `base`, signed at this moment. */
function toRequest({ source, body }: Delivery, base: string): RawRequest {
  const path = `/hooks/${source.name}`;
  const request = source.sender.post(body, source.sender.pens.right, new Date(), { base, path });
  return { ...request, url: request.url.replace("/hooks/test", path) };
}

/** Google's keys, for the sender that is judged by them. */
async function serveKeys(t: TestContext): Promise<string> {
  const keys = senders.flatMap((sender) => [...(sender.keys ?? [])]);
  const set = { keys: keys.map(([kid, key]) => ({ ...key.export({ format: "jwk" }), kid, alg: "RS256" })) };
  const server = createServer((_, response) => response.end(JSON.stringify(set)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/certs`;
}

async function storm(system: System, deliveries: readonly Delivery[], chance: () => number) {
  const roles = superviseRoles(system, ["web", "worker"]);
  await until("both are ready", async () => {
    await Promise.all(["web", "worker"].map((role) => roles.current(role).ready));
    return true;
  });
  const order = shuffle(deliveries, chance);
  const counts = { refused: 0, duplicates: 0, acked: 0, over: false };
  const began = Date.now();
  const queue = order.values();
  const lane = async () => {
    for (const delivery of queue) {
      const { status, id } = await deliver(system.home, (base) => toRequest(delivery, base), counts);
      if (status === 200 && delivery.ids.has(id)) counts.duplicates++;
      delivery.ids.add(id);
      counts.acked++;
    }
  };
  const kills: Kill[] = [];
  const killing = (async () => {
    const deck = Array.from({ length: KILLS * VICTIMS.length }, (_, place) => VICTIMS[place % VICTIMS.length]!);
    for (const [place, what] of deck.entries()) {
      const at = ((place + 0.5 + chance() * 0.5) / (deck.length + 1)) * order.length;
      while (counts.acked < at && !counts.over) await sleep(5);
      for (let kill: Kill | undefined; !kill; await sleep(50)) {
        assert.ok(!counts.over, `there was no ${what} to kill`);
        kill = what === "postgres" ? killPostgres(system.home) : await roles.kill(what);
        if (kill) kills.push(kill);
      }
    }
  })();
  const most = 60_000 + COUNT * 40;
  const late = sleep(most, undefined, { ref: false }).then(() => {
    counts.over = true;
    assert.fail(`after ${most / 1000} s: ${counts.acked} of ${order.length} copies acked, ${kills.length} kills`);
  });
  await Promise.race([Promise.all([killing, ...Array.from({ length: LANES }, lane)]), late]);
  return { roles, kills, counts, sent: order.length, seconds: (Date.now() - began) / 1000 };
}

interface EventRow {
  readonly id: string;
  readonly source: string;
  readonly outcome: string;
  readonly runs: readonly { handler: string; status: string; result: string; steps: number }[] | null;
}

async function eventsIn(database: Database): Promise<EventRow[]> {
  return await database.query<EventRow>(
    `select e.id, e.source, e.outcome, r.runs from events e left join lateral (
       select json_agg(json_build_object('handler', handler, 'status', status, 'result', result,
         'steps', (select count(*) from steps s where s.run_id = runs.id and s.status = 'completed')) order by handler) as runs
       from runs where event_id = e.id) r on true
     where source = any($1)`,
    [sources.map(({ name }) => name)],
  );
}

test(`${COUNT} deliveries of all senders, sent one to three times while web, worker and database are killed: each event once, each run once`, async (t) => {
  const began = Date.now();
  const chance = createChance(SEED);
  const system = testSystem(t, { ...secretsOf(), DAIMON_LEASE_MS: "2000" });
  system.install("load", { "index.ts": capability(await serveKeys(t)) });
  const deliveries = makeDeliveries(chance);
  const passed = await storm(system, deliveries, chance);

  const { socketFolder } = readPidFile(dataOf(system.home))!;
  const database = testConnection(t, { host: socketFolder, user: "daimon", database: "daimon", ssl: false });
  const open = "select from runs where status not in ('completed', 'failed', 'canceled') limit 1";
  const ended = () =>
    database.query(open).then(
      (rows) => rows.length === 0,
      () => false,
    );
  await until("every run has ended", ended, { seconds: 60 });

  const events = await eventsIn(database);
  const known = new Map(events.map((event) => [event.id, event]));
  for (const { source, ids, copies } of deliveries) {
    assert.equal(ids.size, 1, `${source.name}: its ${copies} copies are one event`);
    assert.equal(known.get([...ids][0]!)?.source, source.name, `${source.name}: what was acked is there`);
  }
  for (const source of sources) {
    const own = events.filter((event) => event.source === source.name);
    const acked = deliveries.filter((delivery) => delivery.source === source);
    assert.equal(own.length, acked.length * source.events, `${source.name}: as many events as were acked`);
    for (const { id, runs, outcome } of own) {
      const wanted = source.handlers.map((handler) => ({ handler, status: "completed", result: id, steps: 1 }));
      assert.deepEqual(runs ?? [], wanted, `${source.name}: the runs of ${id}`);
      assert.equal(outcome, wanted.length > 0 ? "dispatched" : source.name === "generic" ? "filtered" : "ignored");
    }
  }
  const batches = deliveries.filter(({ source }) => source.events > 1).length;
  const [requests] = await database.query<{ count: number }>("select count(*) from requests");
  assert.equal(requests!.count, batches, "one request of each batch");
  assert.deepEqual(passed.roles.told.deaths, [], "no process ended by itself");
  assert.deepEqual(await passed.roles.stop(), [0, 0]);

  const runs = events.flatMap((event) => event.runs ?? []).length;
  const count = (what: string) => passed.kills.filter((kill) => kill.what === what).length;
  tell({
    seed: `${SEED} (LOAD_SEED gives the same deliveries)`,
    kills: VICTIMS.map((what) => `${what} ${count(what)}`).join(", "),
    "processes started": `${passed.roles.told.starts}, ${passed.roles.told.brokenStarts.length} broke off while starting`,
    senders: `${sources.length}, of ${new Set(senders.map(({ scheme }) => scheme)).size} schemes`,
    deliveries: `${deliveries.length} different ones, ${passed.sent} sent and acked, ${passed.counts.refused} tries in vain`,
    events: `${events.length} kept, as many as were acked; ${batches} deliveries brought ${ITEMS} each`,
    runs: `${runs} completed, as many as triggers say; ${events.filter((event) => !event.runs).length} events want none`,
    lost: "0",
    twice: "0",
    time: `${Math.round(passed.seconds)} s of storm, ${Math.round((Date.now() - began) / 1000)} s in all`,
  });
});

function tell(facts: Record<string, string>): void {
  for (const [name, fact] of Object.entries(facts)) console.log(`${name.padEnd(18)} ${fact}`);
}
