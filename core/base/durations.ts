import { DaimonError } from "./errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `"250ms"`, `"90s"`, `"5m"`, `"24h"`, `"1d12h"`. Throws `duration.invalid`. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text.replaceAll(" ", "")) {
    throw new DaimonError("duration.invalid", `"${text}" is not a duration.`, 'Write it like "90s", "24h" or "1d12h".');
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * UNITS[part[2]!]!, 0);
}

/** `1h 5m`, `12s`, `340ms`: at most two units. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  const parts: string[] = [];
  let rest = milliseconds;
  for (const unit of ["d", "h", "m", "s"]) {
    const count = Math.floor(rest / UNITS[unit]!);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * UNITS[unit]!;
  }
  return parts.slice(0, 2).join(" ");
}

/** `45 minutes`, `26 hours`, `3 days`: whole ones, of the largest unit of which there are two. */
export function durationInWords(milliseconds: number): string {
  const units = { day: UNITS.d!, hour: UNITS.h!, minute: UNITS.m!, second: UNITS.s! };
  const [word, length] = Object.entries(units).find(([, unit]) => milliseconds >= 2 * unit) ?? ["second", units.second];
  const count = Math.floor(milliseconds / length);
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
