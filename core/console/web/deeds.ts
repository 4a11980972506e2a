import { request, type Schedule } from "./api.ts";
import { go } from "./router.ts";
import { attempt } from "./state.ts";

/** What happened when a schedule was fired by hand. */
export interface Fired {
  readonly eventId: string;
  readonly runIds: readonly string[];
}

/** Where the API has a schedule. */
export const scheduleUrl = (name: string) => `/api/schedules/${encodeURIComponent(name)}`;

/** Fires a schedule now and leads to its run. */
export const fire = (name: string) =>
  attempt(async () => {
    const { eventId, runIds } = await request<Fired>("POST", `${scheduleUrl(name)}/runs`);
    go(runIds[0] ? `/runs/${runIds[0]}` : `/events/${eventId}`);
  }, `${name} was fired.`);

/** Pauses a schedule, or resumes it. */
export const pause = ({ name, paused }: Schedule, onChange: () => void) =>
  attempt(
    () => request("PATCH", scheduleUrl(name), { paused: !paused }).then(onChange),
    paused ? `${name} runs again.` : `${name} is paused.`,
  );

/** Removes a schedule. */
export const remove = (name: string, onChange: () => void) =>
  attempt(() => request("DELETE", scheduleUrl(name)).then(onChange), `${name} is removed.`);
