import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Costs } from "./api.ts";
import { Table } from "./figures.tsx";
import { count, money } from "./format.ts";

const HEIGHT = 168;
/** Room for `$0.00025`. */
const LEFT = 66;
const BOTTOM = 22;
const RIGHT = 20;
const TOP = 10;

/** Dollars a day as bars, thirty days back from the last, with a line at the day's limit when it is in reach. */
export function DayBars({ days, limitUsd }: { days: Costs["days"]; limitUsd: number }) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useSignal(640);
  const pointed = useSignal<number | null>(null);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => {
      if (entry) width.value = Math.max(240, entry.contentRect.width);
    });
    watch.observe(frame.current!);
    return () => watch.disconnect();
  }, []);
  const lastDays = days.slice(-30);
  const most = Math.max(...lastDays.map((one) => one.usd));
  const top = most > 0 ? roundAbove(most) : 0.01;
  const slot = (width.value - LEFT - RIGHT) / lastDays.length;
  const y = (usd: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - usd / top);
  const shown = lastDays[pointed.value ?? lastDays.length - 1]!;
  const every = Math.ceil(lastDays.length / Math.max(2, Math.floor(width.value / 90)));
  return (
    <div class="chart" ref={frame}>
      <p class="chart-shown num" aria-hidden="true">
        <b>{dayName(shown.day)}</b> {money(shown.usd)} <span class="faint">{count(shown.calls)} calls</span>
      </p>
      <svg
        width={width.value}
        height={HEIGHT}
        role="img"
        aria-label={`Dollars a day: at most ${money(most)} in the last ${lastDays.length} days`}
        onPointerLeave={() => (pointed.value = null)}
      >
        {[0, top / 2, top].map((at) => (
          <g key={at}>
            <line class="grid" x1={LEFT} x2={width.value - RIGHT} y1={y(at)} y2={y(at)} />
            <text class="tick-y" x={LEFT - 8} y={y(at) + 4}>
              {`$${+at.toFixed(6)}`}
            </text>
          </g>
        ))}
        {limitUsd <= top && (
          <line class="limit" x1={LEFT} x2={width.value - RIGHT} y1={y(limitUsd)} y2={y(limitUsd)}>
            <title>The day's limit: {money(limitUsd)}</title>
          </line>
        )}
        {lastDays.map((one, index) => (
          <g
            key={one.day}
            class={`bar${pointed.value === index ? " pointed" : ""}`}
            onPointerEnter={() => (pointed.value = index)}
          >
            <title>{`${dayName(one.day)}: ${money(one.usd)}, ${one.calls} calls`}</title>
            <rect class="bar-hit" x={LEFT + index * slot} y={0} width={slot} height={HEIGHT - BOTTOM} />
            <rect
              class="bar-fill"
              x={LEFT + index * slot + slot * 0.16}
              y={one.usd > 0 ? Math.min(y(one.usd), y(0) - 1.5) : y(0)}
              width={slot * 0.68}
              height={one.usd > 0 ? Math.max(1.5, y(0) - y(one.usd)) : 0}
              rx={Math.min(2, slot * 0.2)}
            />
            {(lastDays.length - 1 - index) % every === 0 && (
              <text class="tick-x" x={LEFT + (index + 0.5) * slot} y={HEIGHT - 5}>
                {dayName(one.day)}
              </text>
            )}
          </g>
        ))}
      </svg>
      <details class="chart-table">
        <summary>As a table</summary>
        <Table
          words={["Day"]}
          figures={["Calls", "Cost"]}
          rows={lastDays
            .filter((one) => one.calls > 0)
            .reverse()
            .map(({ day, calls, usd }) => ({ key: day, cells: [dayName(day), count(calls), money(usd)] }))}
        />
      </details>
    </div>
  );
}

/** The next round number above, so that an axis reads well. */
export function roundAbove(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((value) => value >= most)!;
}

function dayName(day: string): string {
  return new Date(day).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}
