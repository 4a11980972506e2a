import assert from "node:assert/strict";
import { test } from "node:test";
import type { Installed } from "../../registry/registry.ts";
import { pause, resume } from "../../store/held.ts";
import { keepEvent, keepRun, testConsole } from "../../test/console.ts";

const installed: Installed = {
  capability: {
    name: "shop",
    description: "The shop",
    webhooks: [
      {
        source: "shop",
        verify: { scheme: "equality", header: "x-key", secret: "SHOP_SECRET" },
        type: [{ data: "type" }],
      },
    ],
    triggers: [
      {
        ...{
          name: "sold",
          description: "Tells what was sold",
          on: { source: "shop", type: "sold" },
          run: async () => {},
        },
        ...{ debounce: { delay: "30s" }, rate: { limit: 2, per: "1m" } },
      },
    ],
  },
  ...{ folder: "/capabilities/shop", version: "1", agents: [], skillFolder: null, samples: [] },
};
const capabilities = () => ({ installed: [installed], refused: [] });
const none = { paused: 0, rate: 0, debounce: 0 };
const sold = {
  installed: true,
  ...{ name: "shop/sold", description: "Tells what was sold", on: { source: "shop", type: "sold" } },
  ...{ debounce: { delay: "30s" }, rate: { limit: 2, per: "1m" }, paused: false, pausedAt: null, waiting: none },
};

async function house(t: Parameters<typeof testConsole>[0]) {
  const made = await testConsole(t, {
    capabilities,
    actions: { pause: (name, paused) => (paused ? pause : resume)(made.database, name) },
  });
  return made;
}

test("triggers and sources tell whether they are paused, and how many runs they hold back by what", async (t) => {
  const { database, ask, json } = await house(t);
  assert.deepEqual(await json("/api/triggers"), {
    items: [sold],
    sources: [{ name: "shop", installed: true, paused: false, pausedAt: null, waiting: none }],
    next: null,
  });
  const eventId = await keepEvent(database, { source: "shop", type: "sold" });
  for (let n = 0; n < 2; n++) await keepRun(database, eventId, { handler: "trigger:shop/sold", status: "queued" });
  const paused = (await (
    await ask("PATCH", "/api/triggers/shop%2Fsold", { body: { paused: true } })
  ).json()) as typeof sold;
  assert.match(String(paused.pausedAt), /^20/);
  assert.deepEqual({ ...paused, pausedAt: null }, { ...sold, paused: true, waiting: { ...none, paused: 2 } });
  const { sources } = await json<{ sources: object[] }>("/api/triggers");
  assert.deepEqual(sources, [
    { name: "shop", installed: true, paused: false, pausedAt: null, waiting: { ...none, paused: 2 } },
  ]);
  const { counts } = await json<{ counts: { waiting: number } }>("/api/status");
  assert.equal(counts.waiting, 2);
  const { items } = await json<{ items: { waiting: unknown }[] }>("/api/runs?status=waiting");
  assert.deepEqual(
    items.map((run) => run.waiting),
    [1, 2].map(() => ({ kind: "paused", name: "trigger:shop/sold" })),
  );
  const resumed = await ask("PATCH", "/api/triggers/shop%2Fsold", { body: { paused: false } });
  assert.deepEqual(await resumed.json(), sold);
});

test("a source is paused by its name; what is not there is 404, unless it was paused before it was removed", async (t) => {
  const { database, ask, json } = await house(t);
  assert.equal((await ask("PATCH", "/api/sources/shop", { body: { paused: true } })).status, 200);
  assert.deepEqual(await database.query("select name from pauses"), [{ name: "source:shop" }]);
  assert.equal((await ask("PATCH", "/api/sources/nobody", { body: { paused: true } })).status, 404);
  assert.equal((await ask("PATCH", "/api/sources/shop", { body: {} })).status, 400);
  await pause(database, "trigger:gone/old");
  const { items } = await json<{ items: { name: string; paused: boolean }[] }>("/api/triggers");
  assert.deepEqual(
    items.map((one) => [one.name, one.paused]),
    [
      ["shop/sold", false],
      ["gone/old", true],
    ],
  );
  const answer = await ask("PATCH", "/api/triggers/gone%2Fold", { body: { paused: false } });
  assert.deepEqual(await answer.json(), { name: "gone/old", paused: false });
  assert.deepEqual(await database.query("select name from pauses"), [{ name: "source:shop" }]);
});

test("each event of a burst lists the run, and the run lists its events", async (t) => {
  const { database, json } = await house(t);
  const ids = [await keepEvent(database, { minutes: 0 }), await keepEvent(database, { minutes: 1 })];
  const runId = await keepRun(database, ids[1]!);
  await database.query("insert into bursts select $1, unnest($2::text[])", [runId, ids]);
  const other = await keepRun(database, await keepEvent(database, { minutes: 2 }));
  for (const id of ids) {
    assert.deepEqual(
      (await json<{ runs: { id: string }[] }>(`/api/events/${id}`)).runs.map((run) => run.id),
      [runId],
    );
    assert.deepEqual(
      (await json<{ items: { id: string }[] }>(`/api/runs?event=${id}`)).items.map((run) => run.id),
      [runId],
    );
  }
  const { items } = await json<{ items: { runs: { total: number } }[] }>("/api/events");
  assert.deepEqual(
    items.map((event) => event.runs.total),
    [1, 1, 1],
  );
  const run = await json<{ event: { id: string }; events: { id: string }[] }>(`/api/runs/${runId}`);
  assert.deepEqual([run.event.id, run.events.map((event) => event.id)], [ids[1], ids]);
  assert.equal((await json<{ events: object[] }>(`/api/runs/${other}`)).events.length, 1);
  await database.query(
    'update runs set status = \'failed\', error = \'{"code": "x", "message": "no"}\' where id = $1',
    [runId],
  );
  const dead = await json<{ items: { id: string; outcome: string }[] }>("/api/events?outcome=dead");
  assert.deepEqual(
    dead.items.map((event) => [event.id, event.outcome]),
    [
      [ids[1], "dead"],
      [ids[0], "dead"],
    ],
  );
  const again = await keepRun(database, ids[0]!);
  const left = await json<{ items: { id: string }[] }>("/api/events?outcome=dead");
  assert.deepEqual(
    left.items.map((event) => event.id),
    [ids[1]],
    "one of them was replayed",
  );
  assert.equal((await json<{ runs: object[] }>(`/api/events/${ids[0]}`)).runs.length, 2, again);
});
