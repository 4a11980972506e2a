/** Paths on a 16 by 16 grid, drawn by a 1.5 stroke. */
const PATHS = {
  home: "M2.5 7.5 8 2.75l5.5 4.75M4 6.5v6.75h8V6.5",
  events: "M9 1.75 3.25 9H8l-1 5.25L12.75 7H8z",
  runs: "M2.5 4h6M2.5 8h11M5.5 12h8",
  chat: "M2.5 3.25h11v7.5H7.75L4.5 13.5v-2.75h-2z",
  schedules: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.75V8l2.25 1.5",
  approvals: "M8 1.75 13 3.5v4c0 3-2 5.5-5 6.75C5 13 3 10.5 3 7.5v-4zM5.75 8l1.5 1.5 3-3",
  issues: "M3.5 14.25V2.25M3.5 3h9l-2 3 2 3h-9",
  costs: "M2.5 13.5h11M4 11V7.5M8 11V2.75M12 11V5.5",
  capabilities: "M8 1.75 13.5 4.75v6.5L8 14.25l-5.5-3v-6.5zM2.75 5 8 8l5.25-3M8 8v6",
  settings: "M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.5 10.5l3 3",
  stop: "M5.5 2.25h5l3.25 3.25v5l-3.25 3.25h-5L2.25 10.5v-5z",
  play: "M5 3v10l8-5z",
  close: "m4 4 8 8M12 4l-8 8",
  check: "m3 8.5 3.25 3.25L13 4.75",
  right: "m6 3.5 4.5 4.5L6 12.5",
  left: "M10 3.5 5.5 8l4.5 4.5",
  copy: "M5.5 5.5h7.75v7.75H5.5zM3 10.5V2.75h7.5",
  retry: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.75V6H9.75",
  more: "M3 8h.01M8 8h.01M13 8h.01M3.4 8a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0M8.4 8a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0M13.4 8a.4.4 0 1 1-.8 0 .4.4 0 0 1 .8 0",
  up: "M8 13V3.25M3.75 7.25 8 3l4.25 4.25",
  plus: "M8 3v10M3 8h10",
  alert: "M8 2.25 14.25 13.25H1.75zM8 6.5v3M8 11.25v.01",
  tool: "m2.75 13.25 5-5M13.25 5a3.5 3.5 0 0 1-5 3.25 3.5 3.5 0 0 1 2.75-5.5L9.25 5 11 6.75z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: a ring with three doors, and the spirit in the hall. */
export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <circle class="mark-ring" cx="10" cy="10" r="7.25" pathLength="12" />
      <circle class="mark-core" cx="10" cy="10" r="2.75" />
    </svg>
  );
}
