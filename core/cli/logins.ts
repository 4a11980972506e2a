import type { Token } from "../console/web/api.ts";
import { change, query, type ReadOptions, showList } from "./read.ts";
import { line, print, say, time } from "./terminal.ts";

/** Prints a one-time link that opens the console. */
export const login = (options: ReadOptions) =>
  change<{ url: string }>(["POST", "/api/logins"], options, ({ url }) => {
    print(url);
    say("It opens the console once, within 10 minutes.");
  });

export const createToken = (
  name: string,
  { scope, days, ...options }: ReadOptions & { scope: string; days?: number },
) =>
  change<{ token: string }>(["POST", "/api/tokens", { name, scope, days }], options, ({ token }) => {
    print(token);
    say("Shown once. Use it as DAIMON_TOKEN, or as Authorization: Bearer.");
  });

export const listTokens = (options: ReadOptions) =>
  showList<Token>(`/api/tokens${query(options)}`, options, {
    none: "No tokens. Make one: daimon token create laptop --scope read",
    columns: {
      NAME: (token) => line(token.name),
      SCOPES: (token) => token.scopes.join(" "),
      SEEN: (token, zone) => time(token.seenAt, zone),
      EXPIRES: (token, zone) => time(token.expiresAt, zone),
    },
  });

export const revokeToken = (name: string, options: ReadOptions) =>
  change(["DELETE", `/api/tokens/${encodeURIComponent(name)}`], options, () => say(`${name} is revoked.`));

/** STOP, on or off. */
export const stop = ({ release, ...options }: ReadOptions & { release?: boolean }) =>
  change<{ stopped: boolean }>(["PUT", "/api/stop", { stopped: !release }], options, ({ stopped }) =>
    say(
      stopped
        ? "STOP is on: what runs is canceled and nothing begins. Next: daimon stop --release"
        : "STOP is released: what is queued or waits goes on.",
    ),
  );
