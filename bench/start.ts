import { join } from "node:path";
import { mean, pause, short } from "./figures.ts";
import { startHouse } from "./house.ts";
import { findPostgres, proportionalBytes, residentBytes } from "./memory.ts";
import type { BenchServer } from "./postgres.ts";
import type { Table } from "./report.ts";

interface Started {
  readonly cold: number;
  readonly warm: number;
  /** Resident bytes, after the pause. */
  readonly idle: number;
  readonly postgres: number;
}

/** First ever start (initdb, schema, hub) and the next one, of real processes with homes of their own; memory when idle. */
export async function measureStart(
  server: BenchServer,
  options: { rounds: number; idleSeconds: number },
): Promise<{ tables: Table[]; data: unknown }> {
  const rounds: Started[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const home = join(server.folder, `start-${round}`);
    const first = await startHouse({ home });
    await first.stop();
    const second = await startHouse({ home });
    const last = round === options.rounds - 1;
    if (last) await pause(options.idleSeconds * 1000);
    const idle = last ? residentBytes(second.pid) : Number.NaN;
    const postgres = last ? proportionalBytes(findPostgres(home)) : Number.NaN;
    await second.stop();
    rounds.push({ cold: first.readyAfter, warm: second.readyAfter, idle, postgres });
  }
  const { idle, postgres } = rounds.at(-1)!;
  const most = (pick: (one: Started) => number) => Math.max(...rounds.map(pick));
  return {
    data: rounds,
    tables: [
      {
        title: "Starting the whole system, from the start of the process to 200 on `/readyz`",
        columns: ["", "mean ms", "slowest ms", "promise"],
        rows: [
          [
            "first ever (database and hub are laid down)",
            short(mean(rounds.map((one) => one.cold))),
            short(most((one) => one.cold)),
            "< 4,000",
          ],
          ["again", short(mean(rounds.map((one) => one.warm))), short(most((one) => one.warm)), "< 1,500"],
        ],
        notes: [`${options.rounds} homes, one after the other.`],
      },
      {
        title: `Memory when idle, ${options.idleSeconds} s after a start`,
        columns: ["", "MB", "promise"],
        rows: [
          ["the Node process, resident", short(idle / 2 ** 20), "< 150"],
          ["the embedded Postgres, its share (PSS) over all its processes", short(postgres / 2 ** 20), ""],
        ],
        notes: Number.isFinite(idle) ? [] : ["Memory is read from /proc, which this machine does not have."],
      },
    ],
  };
}
