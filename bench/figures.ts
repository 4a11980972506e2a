import { readFileSync } from "node:fs";

/** Milliseconds on a clock that all processes of this machine share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The value below which a `part` (0 to 1) of the values lies: the nearest rank. NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** `12,345`: a rate or a count. */
export const count = (value: number): string =>
  Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "–";

/** `3.42`, `34.2`, `342`: three figures are all that a bench knows. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", { maximumSignificantDigits: value >= 1000 ? 4 : 3 });
}

/** `1.72 ×`. */
export const ratio = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(2)} ×` : "–");

/** Ticks that the processors have had, and those of them that other guests of the host took (proc_stat(5)); null where it is not told. */
export function processorTime(): { all: number; stolen: number } | null {
  try {
    const [line] = readFileSync("/proc/stat", "utf8").split("\n", 1);
    const ticks = line!.split(/\s+/).slice(1, 9).map(Number);
    return { all: ticks.reduce((sum, one) => sum + one, 0), stolen: ticks[7]! };
  } catch {
    return null;
  }
}
