import { spawn } from "node:child_process";
import { join } from "node:path";
import { count } from "./figures.ts";
import { output } from "./postgres.ts";
import type { Table } from "./report.ts";

/** core/test/load.test.ts with so many deliveries; throws with what it says when it fails. */
export async function measureStorm(deliveries: number): Promise<{ tables: Table[]; data: unknown }> {
  const file = join(import.meta.dirname, "../core/test/load.test.ts");
  const said = await output(
    spawn(process.execPath, ["--no-warnings", "--test-reporter=spec", file], {
      env: { PATH: process.env.PATH, HOME: import.meta.dirname, LANG: "C.UTF-8", DAIMON_LOAD: String(deliveries) },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  const facts = [...said.matchAll(/^(\w[\w ]{0,17}?) {2,}(.+)$/gm)].map(([, name, fact]) => [name!, fact!]);
  return {
    data: Object.fromEntries(facts),
    tables: [
      {
        title: `${count(deliveries)} deliveries of all senders, each sent one to three times while web, worker and database are killed with -9`,
        columns: ["", ""],
        rows: facts,
        notes: [
          "`core/test/load.test.ts`: it fails when an event is lost or kept twice, or a run is missing or done twice.",
        ],
      },
    ],
  };
}
