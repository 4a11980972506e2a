import type { Live } from "../base/live.ts";
import { timeWords } from "../base/zones.ts";
import type { NewEvent } from "../define/event.ts";
import type { Label } from "../define/label.ts";
import type { Runs } from "../runs/runs.ts";
import type { Database } from "../store/database.ts";
import { lastCompletion } from "../store/issues.ts";
import type { KeptEvent } from "../store/keep.ts";
import { type EndedRun, holdEndedRuns, settleSchedules } from "../store/schedules.ts";

/**
 * Keeps a message to the owner within a transaction, once for each run and step; to a conversation, or to the owner's own.
 * What it returns is called when that is committed.
 */
export type TellOwner = (
  inside: Database,
  message: { runId: string; step: string; text: string; conversationId: string | null; label: Label },
) => Promise<() => void>;

const MOST_SCHEDULES = 500;

/**
 * Counts the ends of runs of schedules. Failures in a row beyond the schedule's `onFailure.after` are told once, with an
 * event `daimon schedule.failed`; so is the good run that ends them, with `schedule.recovered`.
 */
export async function settleRuns(options: {
  database: Database;
  runs: Runs;
  tell: TellOwner;
  live: Live;
}): Promise<void> {
  const { database, runs } = options;
  for (let full = true; full; ) {
    const { kept, names, held, announcements } = await database.transaction(async (inside) => {
      const ended = await holdEndedRuns(inside, MOST_SCHEDULES);
      const settled = [...Map.groupBy(ended, ({ name }) => name).values()].map(countEnds);
      const kept: KeptEvent[] = [];
      const announcements: (() => void)[] = [];
      for (const { run, news } of settled.flatMap(({ told }) => told)) {
        const text = news.text ?? failedText(run, news.failures, await lastCompletion(inside, run.name));
        announcements.push(await options.tell(inside, { ...run, step: news.type, text }));
        kept.push(...(await runs.keep(inside, [{ event: toEvent(run, news) }])));
      }
      if (ended.length > 0) {
        await settleSchedules(
          inside,
          settled,
          ended.map(({ runId }) => runId),
        );
      }
      const names = settled.filter(({ changed }) => changed).map(({ name }) => name);
      return { kept, names, held: settled.length, announcements };
    });
    runs.announce(kept);
    for (const announce of announcements) announce();
    for (const name of names) options.live.publish({ kind: "schedule", id: name });
    full = held === MOST_SCHEDULES;
  }
}

interface News {
  readonly type: "schedule.failed" | "schedule.recovered";
  /** Absent for a failure: it takes a look at when it last went well. */
  readonly text?: string;
  readonly failures: number;
}

/** What the ends of one schedule's runs, oldest first, make of it. */
function countEnds(ended: readonly EndedRun[]) {
  const { name, policy, ...before } = ended[0]!;
  let { failures, alarmed } = before;
  const told: { run: EndedRun; news: News }[] = [];
  for (const run of ended) {
    if (run.status === "failed") {
      failures++;
      if (alarmed || failures < policy.onFailure.after) continue;
      alarmed = true;
      told.push({ run, news: { type: "schedule.failed", failures } });
    } else if (run.status === "completed") {
      const times = `${failures} failed ${failures === 1 ? "run" : "runs"}`;
      const text = `The schedule ${name} goes well again, after ${times}.`;
      if (alarmed && policy.onRecovery) told.push({ run, news: { type: "schedule.recovered", text, failures } });
      failures = 0;
      alarmed = false;
    }
  }
  return { name, failures, alarmed, told, changed: failures !== before.failures };
}

/** What failed, since when, why, and what to do next. */
function failedText({ name, error, time, zone, runId }: EndedRun, failures: number, good: Date | null): string {
  const often = failures === 1 ? "failed" : `failed ${failures} times in a row`;
  const since = good ? ` since ${timeWords(zone, good)}, when it last went well` : ", and never went well";
  const why = [error?.message, error?.next].filter(Boolean).join(" ");
  const next = `Next: daimon runs show ${runId}; once it is mended, daimon runs retry ${runId}`;
  return `The schedule ${name} ${often}${since}. For ${timeWords(zone, time)}: ${why} ${next}`;
}

function toEvent(run: EndedRun, { type, failures }: News): NewEvent {
  const { name, runId, error, time, label } = run;
  const data = { schedule: name, failures, runId, nominal: time.toISOString(), error };
  return { source: "daimon", type, key: `${runId}/${type}`, data, label, parentRunId: runId };
}
