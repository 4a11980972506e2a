// `npm run bench`                      what needs no peer, about eleven minutes
// `npm run bench -- --quick`           the same with less of everything, under two minutes; not kept in bench/results
// `npm run bench -- --peer engines`    the queue and the steps beside graphile-worker, pg-boss, DBOS and absurd
// `npm run bench -- --peer seed`       beside FastAPI, Celery, Redis and Postgres; their packages are Debian's
// `npm run bench -- --only accept,turn`  some sections, not kept
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureAccepting } from "./accept.ts";
import { measureClock } from "./clock.ts";
import type { Scale } from "./engine.ts";
import { now, processorTime } from "./figures.ts";
import { measurePeers } from "./peers.ts";
import { type BenchServer, findPgbench, output, startBenchServer } from "./postgres.ts";
import { describeMachine, keepResults, putIntoPage, renderSection, type Section, type Table } from "./report.ts";
import { measureSeed, type SeedScale } from "./seed.ts";
import { measureStart } from "./start.ts";
import { measureStorm } from "./storm.ts";
import { measureTurn } from "./turn.ts";
import { measureWork } from "./work.ts";

const FULL: Scale = {
  samples: 300,
  offeredSeconds: 5,
  drainSeconds: 3,
  acceptSeconds: 3,
  history: 1_000_000,
};
const QUICK: Scale = {
  samples: 60,
  offeredSeconds: 1,
  drainSeconds: 0.7,
  acceptSeconds: 2,
  history: 100_000,
};

const FULL_SEED: SeedScale = {
  rounds: 2,
  acceptSeconds: 6,
  offeredSeconds: 6,
  backlogSeconds: 5,
  strikeSeconds: 8,
  lostSeconds: 120,
};
const QUICK_SEED: SeedScale = {
  rounds: 1,
  acceptSeconds: 2,
  offeredSeconds: 2,
  backlogSeconds: 1,
  strikeSeconds: 4,
  lostSeconds: 30,
};

type Measure = (server: BenchServer) => Promise<{ tables: Table[]; data: unknown }>;

function sectionsOf(quick: boolean): Record<string, { title: string; measure: Measure }> {
  const scale = quick ? QUICK : FULL;
  const rounds = quick ? 1 : 2;
  const seconds = scale.acceptSeconds;
  return {
    accept: {
      title: "Accepting events",
      measure: (server) => measureAccepting(server, { seconds, rounds }),
    },
    work: { title: "Starting and carrying runs", measure: (server) => measureWork(server, scale, rounds) },
    start: {
      title: "Start and memory",
      measure: (server) => measureStart(server, { rounds: quick ? 1 : 5, idleSeconds: quick ? 3 : 20 }),
    },
    turn: {
      title: "An agent's turn",
      measure: (server) => measureTurn(server, { samples: quick ? 20 : 200 }),
    },
    clock: {
      title: "Schedules",
      measure: (server) =>
        measureClock(server, quick ? { schedules: 2000, seconds: 20 } : { schedules: 10_000, seconds: 60 }),
    },
    load: {
      title: "Deliveries of all senders while everything is killed",
      measure: () => measureStorm(quick ? 600 : 20_000),
    },
    seed: {
      title: "Beside the seed's own stack",
      measure: (server) => measureSeed(server, quick ? QUICK_SEED : FULL_SEED),
    },
    engines: { title: "Engines side by side", measure: (server) => measurePeers(server, scale, quick ? 1 : 3) },
  };
}

const PEERS: Readonly<Record<string, readonly string[]>> = { engines: ["engines"], seed: ["seed"] };

const { values: told } = parseArgs({
  options: { quick: { type: "boolean" }, peer: { type: "string" }, only: { type: "string" } },
});
const sections = sectionsOf(told.quick ?? false);
const wanted = told.peer
  ? PEERS[told.peer]
  : (told.only?.split(",") ?? Object.keys(sections).filter((name) => !(name in PEERS)));
if (!wanted || wanted.some((name) => !sections[name])) {
  process.stderr.write(
    `There are the sections ${Object.keys(sections).join(", ")} and the peers ${Object.keys(PEERS).join(", ")}.\n`,
  );
  process.exit(2);
}

const load = loadavg()[0]!.toFixed(1);
const server = await startBenchServer();
const machine = describeMachine(server.version, await pgbenchVersion());
const done: Section[] = [];
for (const name of wanted) {
  const { title, measure } = sections[name]!;
  process.stderr.write(`${title} …\n`);
  const began = now();
  const before = processorTime();
  const measured = await measure(server);
  const after = processorTime();
  const stolen = before && after ? (after.stolen - before.stolen) / (after.all - before.all) : null;
  const section = { name, title, ...measured, seconds: Math.round((now() - began) / 1000), stolen };
  done.push(section);
  process.stdout.write(`\n${renderSection(section)}`);
}
server.stop();
if (!told.quick && !told.only) {
  const what = told.peer ?? "";
  const name = keepResults(join(import.meta.dirname, "results"), { what, machine, load, sections: done });
  putIntoPage(join(import.meta.dirname, "../docs/explanation/performance.md"), { name, machine, load, sections: done });
  process.stderr.write(`\nKept as bench/results/${name}.md and .json\n`);
}
process.exit(0);

async function pgbenchVersion(): Promise<string | null> {
  const program = findPgbench();
  if (!program) return null;
  const { spawn } = await import("node:child_process");
  const text = await output(spawn(program, ["--version"], { stdio: ["ignore", "pipe", "pipe"] }));
  return /[\d.]+/.exec(text)?.[0] ?? null;
}
