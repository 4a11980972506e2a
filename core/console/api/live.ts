import { Hono } from "hono";
import { isLoginAlive } from "../../store/logins.ts";
import type { ConsoleEnv } from "../auth.ts";
import type { ConsoleOptions } from "../options.ts";
import { openStream } from "../stream.ts";

/** The feed of what changes, as it changes. */
export function liveRoutes(options: ConsoleOptions): Hono<ConsoleEnv> {
  const { database, live, clock } = options;
  return new Hono<ConsoleEnv>().get("/live", (context) => {
    const login = context.get("login");
    const alive = () => isLoginAlive(database, login, clock.now());
    return openStream(context, { clock, alive, closing: options.closing }, (stream) => {
      const unsubscribe = live.subscribe((change) => {
        if (change.kind !== "delta" && change.kind !== "tool") stream.send("change", change);
      });
      stream.signal.addEventListener("abort", unsubscribe);
    });
  });
}
