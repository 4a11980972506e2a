import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type ApiRequest, testApi, testCli } from "../test/cli.ts";

const EVENT = "evt_01m823xdnz9p33nn999mqth6ke";
const RUN = "run_01m823xdnzj341tneeqqj6mnta";
const until = "2026-11-24T09:00:00.000Z";

const dead = { id: EVENT, outcome: "dead", source: "shop", type: "order.paid", reason: "file failed: No tax." };

/** An API whose order goes on a step each time that it is looked at. */
async function testShop(t: Parameters<typeof testCli>[0], end: object = { completed: 37 }) {
  const { home, run } = testCli(t);
  const looks = [
    { total: null, done: 0, runs: {} },
    { total: 37, done: 20, runs: { queued: 20 } },
    { total: 37, done: 37, runs: { completed: 30, running: 7 } },
    { total: 37, done: 37, runs: end },
  ];
  const base = { id: RUN, handler: "daimon:replay", steps: [], error: null };
  const { requests } = await testApi(t, home, {
    "POST /api/replays": (
      { body }: ApiRequest,
      response: { writeHead: (status: number) => void; end: (text: string) => void },
    ) => {
      const { preview, filter, cursor } = body as { preview?: boolean; filter: object; cursor?: string };
      const items = cursor ? [] : [dead];
      const next = "q" in filter && !cursor ? "evt_5" : null;
      response.writeHead(preview ? 200 : 202);
      const found = { count: cursor ? 7 : "q" in filter ? 30 : 37, items, next, filter: { ...filter, until } };
      response.end(JSON.stringify(preview ? found : { eventId: EVENT, runId: RUN }));
    },
    "POST /api/retries": { count: 0, items: [], next: null, filter: {} },
    [`GET /api/runs/${RUN}`]: (_: ApiRequest, response: { end: (text: string) => void }) => {
      const progress = looks.length > 1 ? looks.shift()! : looks[0]!;
      response.end(JSON.stringify({ ...base, progress, status: progress.done === 37 ? "completed" : "running" }));
    },
    [`GET /api/events/${EVENT}`]: { id: EVENT, data: { n: 1 }, runs: [] },
    [`POST /api/events/${EVENT}/replays`]: { eventId: "evt_new", runIds: [RUN] },
  });
  return { home, run, requests };
}

test("a preview says how many are meant, shows the newest, and does nothing", async (t) => {
  const { run, requests } = await testShop(t);
  const looked = await run(["events", "replay", "--outcome", "dead", "--source", "shop", "--preview"]);
  assert.equal(looked.code, 0, looked.stderr);
  assert.match(looked.stdout, /evt_\S+ +dead +shop order\.paid +file failed: No tax\./);
  assert.match(looked.stderr, /and 36 more events\n37 events\.\n$/);
  assert.deepEqual(requests.at(-1)!.body, { filter: { outcome: "dead", source: "shop" }, preview: true });
  const searched = await run(["events", "replay", "--text", "jane", "--preview", "--json"]);
  assert.deepEqual(JSON.parse(searched.stdout).count, 37, "the parts of a search are added up");
});

test("it is asked before many are replayed, and --wait follows them to their end", async (t) => {
  const { run, requests } = await testShop(t);
  const asked = await run(["events", "replay", "--outcome", "dead"]);
  assert.deepEqual([asked.code, /Say --yes/.test(asked.stderr)], [2, true]);
  assert.ok(requests.every(({ body }) => (body as { preview?: boolean }).preview));
  const done = await run(["events", "replay", "--outcome", "dead", "--yes", "--wait"]);
  assert.equal(done.code, 0, done.stderr);
  assert.equal(done.stdout, `${RUN}\n`);
  assert.deepEqual(done.stderr.trim().split("\n"), [
    "Finding them.",
    "20 of 37 replayed: 20 under way",
    "37 of 37 replayed: 30 completed, 7 under way",
    "37 of 37 replayed: 37 completed",
  ]);
  const ordered = requests.find(({ route, body }) => route === "POST /api/replays" && !("preview" in (body as object)));
  assert.deepEqual(ordered!.body, { filter: { outcome: "dead", until } }, "exactly what the preview counted");
});

test("when some fail again, --wait says where they are and exits 5; none at all is no error", async (t) => {
  const { run } = await testShop(t, { completed: 35, failed: 2 });
  const failed = await run(["events", "replay", "--outcome", "dead", "--yes", "--wait"]);
  assert.deepEqual(
    [failed.code, /2 of its runs failed\.\nNext: daimon runs list --order run_/.test(failed.stderr)],
    [5, true],
  );
  const none = await run(["runs", "retry", "--error", "order.bad", "--yes"]);
  assert.deepEqual([none.code, none.stderr], [0, "0 runs.\n"]);
});

test("one event is replayed with other data: given, from a file, or as edited", async (t) => {
  const { home, run, requests } = await testShop(t);
  const replay = (...words: string[]) =>
    run(["events", "replay", EVENT, ...words], { environment: { EDITOR: "sed -i s/1/2/" } });
  const given = await replay("--data", '{"n":5}');
  assert.deepEqual([given.code, given.stdout], [0, `${RUN}\n`], given.stderr);
  assert.match(given.stderr, /evt_new was made of it; the first one stays as it came/);
  assert.deepEqual(requests.at(-1)!.body, { data: { n: 5 } });
  writeFileSync(join(home, "data.json"), "[7]");
  await replay("--data", `@${join(home, "data.json")}`);
  assert.deepEqual(requests.at(-1)!.body, { data: [7] });
  await replay("--edit");
  assert.deepEqual(requests.at(-1)!.body, { data: { n: 2 } });
  const same = await run(["events", "replay", EVENT, "--edit"], { environment: { EDITOR: "true" } });
  assert.match(same.stderr, /Nothing was changed/);
  const broken = await run(["events", "replay", EVENT, "--edit"], { environment: { EDITOR: "sed -i s/}//" } });
  assert.deepEqual([broken.code, /What was edited cannot be read: .*position/.test(broken.stderr)], [2, true]);
});

test("an id and a filter at once, and neither of them, are wrong uses", async (t) => {
  const { run } = await testShop(t);
  for (const words of [
    ["events", "replay", EVENT, "--source", "shop"],
    ["events", "replay", EVENT, "--preview"],
    ["events", "replay"],
    ["events", "replay", "--yes"],
    ["events", "replay", "--source", "shop", "--edit"],
    ["runs", "retry", RUN, "--handler", "a"],
    ["runs", "retry"],
  ]) {
    assert.equal((await run(words)).code, 2, words.join(" "));
  }
});

test("a search by text goes on until its page is full, and says how far it has looked", async (t) => {
  const { home, run } = testCli(t);
  const found = (n: number) => ({
    ...dead,
    id: `evt_${n}`,
    receivedAt: until,
    runs: { total: 1, failed: 1, active: 0 },
  });
  const pages: Record<string, object> = {
    "": { items: [], next: "evt_c", searched: 5000 },
    evt_c: { items: [found(2)], next: "evt_b", searched: 5000 },
    evt_b: { items: [found(1)], next: null, searched: 17 },
  };
  const { requests } = await testApi(t, home, {
    "GET /api/events": ({ query }: ApiRequest, response: { end: (text: string) => void }) =>
      response.end(JSON.stringify(pages[query.get("cursor") ?? ""])),
  });
  const words = ["events", "list", "--text", "customer.email:jane@example.com", "--since", "7d", "--limit", "3"];
  const listed = await run([...words, "--json"]);
  assert.deepEqual(
    JSON.parse(listed.stdout).items.map((item: { id: string }) => item.id),
    ["evt_2", "evt_1"],
  );
  assert.match(listed.stderr, /^Looked through 5000 events, found 0\.\nLooked through 10000 events, found 1\.\n$/);
  assert.deepEqual(
    requests.map(({ query }) => query.get("limit")),
    ["3", "3", "2"],
  );
  assert.deepEqual(requests.at(-1)!.query.get("q"), "customer.email:jane@example.com");
  assert.match((await run(words)).stdout, /evt_2 +dead/);
});
