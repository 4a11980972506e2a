import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { ROOT, readEnvironment } from "../base/environment.ts";
import { openLog } from "../base/log.ts";
import type { ModelChoice } from "../define/config.ts";
import type { NewEvent } from "../define/event.ts";
import { STRANGER } from "../define/label.ts";
import type { Failure, Run, Step } from "../define/run.ts";
import { type House, openHouse } from "../house/house.ts";
import { findRunDetail } from "../store/views/runs.ts";
import { testDatabase } from "./database.ts";
import type { movedClock } from "./vendor.ts";

export type RunDetail = Pick<Run, "id" | "status" | "result" | "waiting" | "wakeAt"> & {
  error: Failure | null;
  steps: Step[];
};

export interface TestHouse {
  readonly house: House;
  /** Keeps an event, from a stranger unless it says otherwise, and returns its first run once that is finished. */
  send(event: Omit<NewEvent, "label"> & Partial<Pick<NewEvent, "label">>): Promise<RunDetail>;
  /** The run once it has such a status (default: finished). Fails after 20 s. */
  until(runId: string, status?: RegExp): Promise<RunDetail>;
}

/** Moves the clock on to each of the run's next tries; returns it when it waits for something else, or has ended. */
export async function pastRetries(
  { until, clock }: Pick<TestHouse, "until"> & { clock: ReturnType<typeof movedClock> },
  runId: string,
): Promise<RunDetail> {
  for (;;) {
    const run = await until(runId, /waiting|completed|failed|canceled/);
    if (run.waiting?.kind !== "retry") return run;
    clock.advance(Math.max(0, run.wakeAt!.getTime() - clock.now().getTime()));
    await pause(50);
  }
}

/**
 * The whole house but its web door, in this process: a real database, a real hub, what is in `capabilities`, and the
 * demo model unless it is given another.
 */
export async function testHouse(
  t: TestContext,
  options: {
    capabilities?: string;
    values?: Record<string, string>;
    clock?: Clock;
    model?: ModelChoice;
    publicUrl?: string;
  } = {},
): Promise<TestHouse> {
  const home = await mkdtemp(join(tmpdir(), "daimon-house-"));
  const { url } = await testDatabase(t);
  const environment = readEnvironment({
    DAIMON_HOME: home,
    DAIMON_CAPABILITIES: options.capabilities ?? join(ROOT, "capabilities"),
    DATABASE_URL: url,
    ...options.values,
  });
  const role = options.model ?? ({ provider: "demo", model: "demo" } as const);
  const house = await openHouse({
    environment,
    config: {
      owner: { name: "Ada", zone: "Europe/Amsterdam" },
      models: { light: role, heavy: role },
      limits: { run: { turns: 20, usd: 1, minutes: 5 }, dayUsd: 10, monthUsd: 100 },
      ...(options.publicUrl ? { publicUrl: options.publicUrl } : {}),
    },
    roles: ["worker", "clock"],
    log: openLog({}),
    ...(options.clock ? { clock: options.clock } : {}),
  });
  t.after(async () => {
    await house.stop();
    await rm(home, { recursive: true, force: true });
  });
  await house.start();

  const until = async (runId: string, status = /completed|failed|canceled/): Promise<RunDetail> => {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const run = (await findRunDetail(house.database, runId, new Date())) as RunDetail | null;
      if (run && status.test(run.status)) return run;
      if (Date.now() > deadline) throw new Error(`The run is ${run?.status}: ${JSON.stringify(run?.error)}`);
      await pause(20);
    }
  };
  return {
    house,
    until,
    async send(event) {
      const { runIds } = await house.runs.dispatch({ label: STRANGER, ...event });
      return await until(runIds[0]!);
    },
  };
}
