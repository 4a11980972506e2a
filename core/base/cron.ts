import { Cron } from "croner";
import { DaimonError } from "./errors.ts";

/**
 * The first time after `after` that `expression` names in `zone`, or null when there is none.
 * Vixie semantics at DST (cron(8): a skipped time runs at the change, a repeated one once).
 * Throws `cron.invalid` or `cron.zone`.
 */
export function nextTime(expression: string, zone: string, after: Date): Date | null {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    throw new DaimonError("cron.zone", `"${zone}" is not an IANA time zone.`, 'Write it like "Europe/Amsterdam".');
  }
  try {
    return new Cron(expression, { timezone: zone, fixedTimeRule: "no-wildcard", mode: "5-part" }).nextRun(after);
  } catch (error) {
    throw new DaimonError(
      "cron.invalid",
      `"${expression}" is not a cron expression: ${error instanceof Error ? error.message : error}.`,
      'Write five fields, like "0 9 * * 2" for Tuesday 9:00.',
    );
  }
}
