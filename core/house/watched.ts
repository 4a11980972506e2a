import { parseDuration } from "../base/durations.ts";
import { type Config, expectedEvery } from "../define/config.ts";
import type { Watched } from "../issues/watch.ts";
import type { Database } from "../store/database.ts";
import { pausedNames } from "../store/held.ts";
import { listSchedules } from "../store/schedules.ts";
import type { InstalledParts } from "./installed.ts";

/**
 * What is expected to be heard from, and how often: all sources and schedules that are installed, as they stand when it is
 * asked for. Throws `duration.invalid` at once.
 */
export function createWatched(options: {
  database: Database;
  parts: InstalledParts;
  config: Config;
}): () => Promise<Watched[]> {
  const { database, parts, config } = options;
  const every = (duration: string | undefined) => (duration === undefined ? null : parseDuration(duration));
  const sources = [...parts.sources.values()].map((source) => ({
    about: source.webhook.source,
    every: every(expectedEvery(source.webhook, config)),
    isReady: () => source.secrets().length > 0,
  }));
  const schedules = [...parts.schedules.values()].flatMap(({ schedule, name }) =>
    schedule.expectEvery ? [{ about: `schedule:${name}`, name, every: every(schedule.expectEvery) }] : [],
  );
  return async () => {
    const [names, rows] = await Promise.all([
      pausedNames(database),
      schedules.length > 0 ? listSchedules(database) : [],
    ]);
    const rowOf = new Map(rows.map((row) => [row.name, row]));
    return [
      ...sources.map(({ about, every, isReady }) => ({
        ...{ about, every },
        ready: isReady() && !names.includes(`source:${about}`),
      })),
      ...schedules.map(({ about, every, name }) => {
        const row = rowOf.get(name);
        const failing = row !== undefined && row.failures >= row.policy.onFailure.after;
        return { about, every, ready: !row?.paused, failing };
      }),
    ];
  };
}
