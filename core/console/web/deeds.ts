import { request } from "./api.ts";
import { go } from "./router.ts";
import { attempt } from "./state.ts";

/** Fires a schedule now and leads to its run. */
export function fire(name: string): Promise<boolean> {
  return attempt(async () => {
    const { eventId, runIds } = await request<{ eventId: string; runIds: string[] }>(
      "POST",
      `/api/schedules/${encodeURIComponent(name)}/runs`,
    );
    go(runIds[0] ? `/runs/${runIds[0]}` : `/events/${eventId}`);
  }, `${name} was fired.`);
}
