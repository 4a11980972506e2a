import { z } from "zod";
import type { Api } from "../auth.ts";
import { readQuery, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const BUDGET = z.coerce.number().int().min(1).max(100_000).optional();
const MAP = z.strictObject({ budget: BUDGET, under: text(1000).optional() });
const SEARCH = MAP.extend({ q: text(1000).min(1, "must not be empty") });
const FILE = z.strictObject({ path: text(1000).min(1, "must not be empty"), budget: BUDGET });

/** Reading the hub. */
export function hubRoutes(api: Api, { hub }: ConsoleOptions): void {
  api.get("/hub/map", async (context) => context.json(await hub.map(readQuery(context, MAP))));

  api.get("/hub/search", async (context) => {
    const { q, ...rest } = readQuery(context, SEARCH);
    return context.json(await hub.search(q, rest));
  });

  api.get("/hub/file", async (context) => {
    const { path, ...rest } = readQuery(context, FILE);
    return context.json(await hub.read(path, rest));
  });
}
