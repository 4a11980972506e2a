import { Hono } from "hono";
import type { ConsoleEnv } from "../auth.ts";
import type { ConsoleOptions } from "../options.ts";
import { openStream } from "../stream.ts";

/** The feed of what changes, as it changes. */
export function liveRoutes(options: ConsoleOptions): Hono<ConsoleEnv> {
  return new Hono<ConsoleEnv>().get("/live", (context) =>
    openStream(context, options, (stream) => {
      const unsubscribe = options.live.subscribe((change) => {
        if (change.kind !== "delta" && change.kind !== "tool") stream.send("change", change);
      });
      stream.signal.addEventListener("abort", unsubscribe);
    }),
  );
}
