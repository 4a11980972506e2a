import { type EngineFigures, installEngine, loadAdapter, measureAccept, measureEngine, type Scale } from "./engine.ts";
import { count, mean, now, ratio, short } from "./figures.ts";
import { ask, type BenchServer } from "./postgres.ts";
import type { Table } from "./report.ts";

interface Accepted {
  readonly perSecond32: number;
  readonly perSecond256: number;
}
type Measured = EngineFigures & Accepted;

/** Our engine alone: with an empty history, and with a million finished runs. */
export async function measureWork(
  server: BenchServer,
  scale: Scale,
  rounds: number,
): Promise<{ tables: Table[]; data: unknown }> {
  const empty = await measureOurs(server, scale, { rounds, history: 0 });
  const full = await measureOurs(server, scale, { rounds: 1, history: scale.history });
  const [one, many] = [average(empty.rounds), average(full.rounds)];
  return {
    data: { empty, full },
    tables: [
      {
        title: "From event to the start of its handler, in milliseconds",
        columns: ["", "p50", "p99", `p50 with ${count(scale.history)} finished`, "p99", "ratio of p50"],
        rows: (
          [
            ["idle, one process", "idle"],
            ["idle, accepted by another process", "idleApart"],
            ["200 a second offered, one process", "offered"],
            ["200 a second offered by another process", "offeredApart"],
          ] as const
        ).map(([what, key]) => [
          what,
          short(one[key].p50),
          short(one[key].p99),
          short(many[key].p50),
          short(many[key].p99),
          ratio(many[key].p50 / one[key].p50),
        ]),
        notes: [`Idle: ${scale.samples} samples about 15 ms apart. Promise: p50 ≤ 15 ms idle.`],
      },
      {
        title: "Work done, a second",
        columns: ["", "a second", `with ${count(scale.history)} finished runs kept`, "ratio"],
        rows: (
          [
            ["runs that do nothing, 1 worker", "noop1"],
            ["runs that do nothing, 2 workers", "noop2"],
            ["durable runs of 5 steps, 1 worker", "steps1"],
            ["accepted (event + run) without HTTP, 32 callers", "perSecond32"],
            ["accepted (event + run) without HTTP, 256 callers", "perSecond256"],
          ] as const
        ).map(([what, key]) => [what, count(one[key]), count(many[key]), ratio(many[key] / one[key])]),
        notes: [
          `A backlog for about ${scale.drainSeconds} s, from the first start to nothing left in the database.`,
          `The finished runs have an event and a step each, filled by SQL in ${short(full.fillSeconds)} s, with small bodies (${short(full.gigabytes)} GB in all).`,
        ],
      },
    ],
  };
}

async function measureOurs(
  server: BenchServer,
  scale: Scale,
  options: { rounds: number; history: number },
): Promise<{ rounds: Measured[]; fillSeconds: number; gigabytes: number }> {
  const connection = await installEngine(server, "daimon", "work");
  const began = now();
  if (options.history > 0) await fillHistory("daimon", connection, options.history);
  const fillSeconds = (now() - began) / 1000;
  const [size] = await ask<{ bytes: string }>(connection, "select pg_database_size(current_database()) as bytes");
  const rounds: Measured[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const figures = await measureEngine("daimon", connection, scale);
    const accept = async (clients: number) =>
      (await measureAccept("daimon", connection, { clients, seconds: scale.acceptSeconds, batched: true })).perSecond;
    rounds.push({ ...figures, perSecond32: await accept(32), perSecond256: await accept(256) });
    // What was accepted here would be carried by the next round.
    await ask(connection, "update runs set status = 'completed', finished_at = now() where status = 'queued'");
    await ask(connection, "vacuum analyze runs");
  }
  await server.drop("work");
  return { rounds, fillSeconds, gigabytes: Number(size!.bytes) / 1e9 };
}

/** Multiplies an engine's finished work; false when it keeps none. */
export async function fillHistory(peer: string, connection: Parameters<typeof ask>[0], rows: number): Promise<boolean> {
  const { history } = await loadAdapter(peer);
  if (typeof history === "string") return false;
  await ask(connection, history(rows));
  return true;
}

/** The mean of each figure over the rounds. */
function average<Figures extends object>(rounds: readonly Figures[]): Figures {
  const keys = Object.keys(rounds[0]!) as (keyof Figures)[];
  return Object.fromEntries(
    keys.map((key) => {
      const values = rounds.map((round) => round[key]);
      return [key, typeof values[0] === "number" ? mean(values as number[]) : average(values as object[])];
    }),
  ) as Figures;
}
