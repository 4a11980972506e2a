import { z } from "zod";
import { findEventDetail, isEventKept, listEvents } from "../../store/views/events.ts";
import type { Api } from "../auth.ts";
import { page, present, readBody, readId, readQuery } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";
import { filterShapes } from "./filters.ts";

const EDIT = z.strictObject({ data: z.unknown().optional() });

/** Events, and replaying them. */
export function eventRoutes(api: Api, { database, actions, clock }: ConsoleOptions): void {
  const QUERY = page("evt").extend(filterShapes(clock.now).events.shape);
  api.get("/events", async (context) => context.json(await listEvents(database, readQuery(context, QUERY))));

  api.get("/events/:id", async (context) => {
    const id = readId(context, "event");
    return context.json(present(await findEventDetail(database, id), "event", id));
  });

  api.post("/events/:id/replays", async (context) => {
    const id = readId(context, "event");
    present((await isEventKept(database, id)) || null, "event", id);
    const edit = await readBody(context, EDIT);
    const { eventId, runIds } = await actions.replay(id, edit.data === undefined ? undefined : { data: edit.data });
    return context.json({ eventId, runIds }, 202);
  });
}
