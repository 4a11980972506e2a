import pg from "pg";
import type { Log } from "../base/log.ts";
import type { Database } from "./database.ts";

/** Words between the processes that share a database. Nothing depends on one arriving: a poll is the net. */
export type Signal = "runs" | "cancel" | "live";

export interface Signals {
  /** Says it soon; the same signal without text is said once, however often it is asked for meanwhile. */
  say(signal: Signal, text?: string): void;
  close(): Promise<void>;
}

// Not waited for until it is on the disk: what a crash swallows, the poll finds.
const SAY = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

/**
 * Listens on a connection of its own, which is opened again when it breaks. What is said is said outside every
 * transaction: a NOTIFY inside one makes all commits take turns.
 */
export function openSignals(
  options: { connection: pg.ClientConfig; database: Database; log: Log },
  hear: (signal: Signal, text: string) => void,
): Signals {
  let closed = false;
  let client: pg.Client | undefined;
  let saying = false;
  const waiting = new Map<string, { signal: Signal; text: string }>();

  const listen = async () => {
    client = new pg.Client({ ...options.connection, application_name: "daimon" });
    client.on("notification", (note) => {
      const text = note.payload ?? "";
      if (note.processId !== undefined) hear(note.channel.replace("daimon_", "") as Signal, text);
    });
    client.on("error", () => {});
    client.on("end", () => {
      if (!closed) setTimeout(() => void listen().catch(() => {}), 500);
    });
    await client.connect();
    await client.query("listen daimon_runs; listen daimon_cancel; listen daimon_live");
  };
  void listen().catch((error) =>
    options.log.warn("Listening to other processes failed; trying again.", { error: String(error) }),
  );

  const speak = async () => {
    saying = true;
    while (waiting.size > 0 && !closed) {
      const [key, { signal, text }] = waiting.entries().next().value!;
      waiting.delete(key);
      await options.database.query(SAY, [`daimon_${signal}`, text], "say").catch(() => {});
    }
    saying = false;
  };

  return {
    say(signal, text = "") {
      waiting.set(`${signal} ${text}`, { signal, text });
      if (!saying) void speak();
    },
    async close() {
      closed = true;
      await client?.end().catch(() => {});
    },
  };
}
