import type { Api } from "../auth.ts";
import type { ConsoleOptions } from "../options.ts";
import { openStream } from "../stream.ts";

/** The feed of what changes, as it changes. */
export function liveRoutes(api: Api, options: ConsoleOptions): void {
  api.get("/live", (context) =>
    openStream(context, options, (stream) => {
      const unsubscribe = options.live.subscribe((change) => {
        if (change.kind !== "delta" && change.kind !== "tool") stream.send("change", change);
      });
      stream.signal.addEventListener("abort", unsubscribe);
    }),
  );
}
