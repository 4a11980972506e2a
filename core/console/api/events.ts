import { Hono } from "hono";
import { z } from "zod";
import { findEventDetail, isEventKept, listEvents } from "../../store/views/events.ts";
import type { ConsoleEnv } from "../auth.ts";
import { PAGE, present, readId, readQuery, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const QUERY = PAGE.extend({
  source: text(200).optional(),
  type: text(200).optional(),
  outcome: z.enum(["dispatched", "ignored", "filtered", "skipped", "dead"]).optional(),
  q: text(500).optional(),
});

/** Events, and replaying them. */
export function eventRoutes({ database, actions }: ConsoleOptions): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  app.get("/events", async (context) => context.json(await listEvents(database, readQuery(context, QUERY))));

  app.get("/events/:id", async (context) => {
    const id = readId(context, "event");
    return context.json(present(await findEventDetail(database, id), "event", id));
  });

  app.post("/events/:id/replays", async (context) => {
    const id = readId(context, "event");
    present((await isEventKept(database, id)) || null, "event", id);
    const { eventId, runIds } = await actions.replay(id);
    return context.json({ eventId, runIds }, 202);
  });
  return app;
}
