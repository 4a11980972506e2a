import { z } from "zod";
import { parseDuration } from "../../base/durations.ts";
import { text } from "../input.ts";

/** The filters of events and of runs, as queries and bodies give them. A time is ISO 8601, or how long ago it was: `7d`. */
export function filterShapes(now: () => Date) {
  const time = z
    .string()
    .regex(
      /^((\d+[smhdw])+|\d{4}-\d\d-\d\d.*)$/,
      'is neither a time like "2026-11-24T09:00Z" nor how long ago, like "7d"',
    )
    .transform((given) => (/^\d{4}-/.test(given) ? momentOf(given) : now().getTime() - parseDuration(given)))
    .refine((at) => at >= 0, "is no time")
    .transform((at) => new Date(at).toISOString());
  const span = { since: time.optional(), until: time.optional() };
  return {
    events: z.strictObject({
      source: text(200).optional(),
      type: text(200).optional(),
      outcome: z.enum(["dispatched", "ignored", "filtered", "skipped", "dead"]).optional(),
      q: text(500).optional(),
      handler: text(300).optional(),
      error: text(200).optional(),
      issue: text(100).optional(),
      ...span,
    }),
    runs: z.strictObject({
      status: z.enum(["queued", "running", "waiting", "completed", "failed", "canceled"]).optional(),
      handler: text(300).optional(),
      event: text(100).optional(),
      issue: text(100).optional(),
      error: text(200).optional(),
      q: text(500).optional(),
      order: text(100).optional(),
      ...span,
    }),
  };
}

/** In milliseconds; NaN for a day that its month does not have, which `Date.parse` takes for one of the next. */
function momentOf(iso: string): number {
  const day = iso.slice(0, 10);
  return new Date(`${day}T00:00Z`).toJSON()?.startsWith(day) ? Date.parse(iso) : Number.NaN;
}
