import { z } from "zod";
import { DaimonError } from "../../base/errors.ts";
import type { EventFilter, RunFilter } from "../../store/filters.ts";
import { countEvents, countRuns } from "../../store/repairs.ts";
import { listEvents } from "../../store/views/events.ts";
import { listRuns } from "../../store/views/runs.ts";
import type { Api } from "../auth.ts";
import { readBody, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";
import { filterShapes } from "./filters.ts";

/** How many of what is meant a preview shows. */
const SHOWN = 5;
/** A preview that looks for a text answers after this long with what it has found so far. */
const MOST_LOOKING = 1000;

/** Replays of many events and retries of many runs: `preview` says what a filter means now, else it is done. */
export function repairRoutes(api: Api, { database, actions, clock }: ConsoleOptions): void {
  const shapes = filterShapes(clock.now);
  const more = { preview: z.boolean().default(false), cursor: text(100).optional() };

  api.post("/replays", async (context) => {
    const { filter, preview, cursor } = await readBody(context, z.strictObject({ filter: shapes.events, ...more }));
    const wanted = { until: untilNow(clock.now()), ...requireField(filter) };
    if (!preview) return context.json(await actions.repair({ kind: "replay", filter: wanted }), 202);
    const { items } = cursor ? { items: [] } : await listEvents(database, { ...wanted, limit: SHOWN });
    return context.json({ ...(await count(wanted, cursor)), items, filter: wanted });
  });

  api.post("/retries", async (context) => {
    const { filter, preview } = await readBody(context, z.strictObject({ filter: shapes.runs, ...more }));
    const { status = "failed", ...rest } = requireField(filter);
    if (!["failed", "canceled", "waiting"].includes(status)) {
      const next = "status: failed, canceled, or waiting (for the next try).";
      throw new DaimonError("request.invalid", `A ${status} run cannot be retried.`, next);
    }
    const wanted: RunFilter = { until: untilNow(clock.now()), ...rest, status };
    if (!preview) return context.json(await actions.repair({ kind: "retry", filter: wanted }), 202);
    const [total, { items }] = await Promise.all([
      countRuns(database, wanted),
      listRuns(database, { ...wanted, limit: SHOWN }),
    ]);
    return context.json({ count: total, items, next: null, filter: wanted });
  });

  const count = async (filter: EventFilter, cursor: string | undefined) => {
    const began = performance.now();
    let found = await countEvents(database, filter, cursor);
    let total = found.count;
    while (found.next && performance.now() - began < MOST_LOOKING) {
      found = await countEvents(database, filter, found.next);
      total += found.count;
    }
    return { count: total, next: found.next };
  };
}

/** What came in this millisecond included, what comes later not. */
const untilNow = (now: Date) => new Date(now.getTime() + 1).toISOString();

function requireField<Filter extends EventFilter | RunFilter>(filter: Filter): Filter {
  if (Object.keys(filter).length > 0) return filter;
  const message = "The filter is empty: that would be everything.";
  throw new DaimonError("request.invalid", message, "Name one field at least.");
}
