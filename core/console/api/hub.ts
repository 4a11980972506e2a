import { Hono } from "hono";
import { z } from "zod";
import type { ConsoleEnv } from "../auth.ts";
import { readQuery, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const BUDGET = z.coerce.number().int().min(1).max(100_000).optional();
const MAP = z.object({ budget: BUDGET, under: text(1000).optional() });
const SEARCH = MAP.extend({ q: text(1000).min(1, "must not be empty") });
const FILE = z.object({ path: text(1000).min(1, "must not be empty"), budget: BUDGET });

/** Reading the hub. */
export function hubRoutes({ hub }: ConsoleOptions): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  app.get("/hub/map", async (context) => context.json(await hub.map(readQuery(context, MAP))));

  app.get("/hub/search", async (context) => {
    const { q, ...rest } = readQuery(context, SEARCH);
    return context.json(await hub.search(q, rest));
  });

  app.get("/hub/file", async (context) => {
    const { path, ...rest } = readQuery(context, FILE);
    return context.json(await hub.read(path, rest));
  });
  return app;
}
