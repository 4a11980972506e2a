import type { Context, Hono, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { DaimonError } from "../base/errors.ts";
import type { Database } from "../store/database.ts";
import { createCode, findLogin, type Login, type Scope, SESSION_LIFE, seeLogin } from "../store/logins.ts";
import type { ConsoleOptions } from "./options.ts";

/** What a request carries once it has been let in. */
export interface ConsoleEnv {
  Variables: {
    login: Login;
    /** Gives the place of an open stream back. */
    leaveStream: () => void;
  };
}

/** Where the rooms of the API put their routes. */
export type Api = Hono<ConsoleEnv>;

/** A one-time link below `base` (`http://127.0.0.1:4242`), good for 10 minutes; its code stands in the fragment, which no server sees or logs. */
export async function createLoginLink(database: Database, base: string, now: Date): Promise<string> {
  return `${base.replace(/\/+$/, "")}/login#c=${await createCode(database, now)}`;
}

/** The origin a request was sent to, or null when its `Host` is not exactly one of ours (DNS rebinding). */
export function ownOrigin(context: Context, options: Pick<ConsoleOptions, "config" | "address">): string | null {
  const host = (context.req.header("host") ?? new URL(context.req.url).host).toLowerCase();
  const { publicUrl } = options.config;
  if (publicUrl && new URL(publicUrl).host === host) return new URL(publicUrl).origin;
  const listener = options.address();
  const bare = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
  const ours = ["localhost", "127.0.0.1", "[::1]", bare].map((name) => new URL(`http://${name}:${listener.port}`));
  return ours.find((url) => url.host === host)?.origin ?? null;
}

/**
 * Lets nobody in whose `Host` is not ours (421), and no page of another site (403). A login is then found by
 * `requireLogin`.
 */
export function guardDoor(options: ConsoleOptions): MiddlewareHandler {
  return async (context, next) => {
    const own = ownOrigin(context, options);
    if (!own) {
      throw new DaimonError(
        "auth.host",
        "This address is not one of ours.",
        "Open the address that `daimon start` prints, or set publicUrl in daimon.config.ts to the one you use.",
      );
    }
    const origin = context.req.header("origin");
    const site = context.req.header("sec-fetch-site");
    const foreign =
      context.req.path.startsWith("/api/") && site !== undefined && !["same-origin", "none"].includes(site);
    if ((origin !== undefined && origin !== own) || foreign) {
      throw new DaimonError("auth.origin", "Another site may not send requests here.", "Open the console itself.");
    }
    await next();
  };
}

const MINUTE = 60_000;
const MOST_WRONG = 30;

/** Counts one more wrong code, cookie or token, from anywhere; returns the error to answer it with. */
export type WrongCounter = (context: Context, message: string, next: string) => DaimonError;

/**
 * Of wrong tries 30 in a minute are told what is wrong, and each further one to wait. Right credentials pass
 * whatever was counted: they cannot be guessed, and so nobody can lock the owner out.
 */
export function createWrongCounter(now: () => Date): WrongCounter {
  let since = Number.NEGATIVE_INFINITY;
  let count = 0;
  return (context, message, next) => {
    const time = now().getTime();
    if (time - since >= MINUTE) {
      since = time;
      count = 0;
    }
    if (++count <= MOST_WRONG) return new DaimonError("auth.wrong", message, next);
    const seconds = Math.ceil((since + MINUTE - time) / 1000);
    context.header("Retry-After", String(seconds));
    return new DaimonError("auth.often", "Too many wrong logins.", `Wait ${seconds} seconds and try again.`);
  };
}

const SIGN_IN = "Run `daimon login` and open the link it prints.";
const SEEN = 10 * MINUTE;

/** Finds who is asking, by token or cookie: GET needs the scope `read`, all else `write`. */
export function requireLogin(options: ConsoleOptions, wrong: WrongCounter): MiddlewareHandler<ConsoleEnv> {
  const { database, clock } = options;
  return async (context, next) => {
    const origin = context.req.header("origin");
    const token = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
    const secret = token ?? getCookie(context, cookieOf(context, options));
    if (!secret) throw new DaimonError("auth.missing", "You are not signed in.", SIGN_IN);
    if (token && origin !== undefined)
      throw new DaimonError("auth.origin", "A token does not work from a browser.", SIGN_IN);
    const now = clock.now();
    const login = await findLogin(database, { kind: token ? "token" : "session", secret }, now);
    if (!login) {
      const next = token ? "Make one with `daimon token create <name>`." : SIGN_IN;
      throw wrong(context, `This ${token ? "token" : "login"} is not valid, or its time is over.`, next);
    }
    const reads = ["GET", "HEAD"].includes(context.req.method);
    if (!token && !reads && origin === undefined)
      throw new DaimonError("auth.origin", "The request does not say which page it comes from.", SIGN_IN);
    requireScope(login, reads ? "read" : "write");
    if (login.seenAt === null || now.getTime() - login.seenAt.getTime() > SEEN) {
      await seeLogin(database, login, now);
      if (!token) writeCookie(context, options, secret);
    }
    context.set("login", login);
    await next();
  };
}

/** Throws `auth.scope` when a login may not. */
export function requireScope(login: Login, scope: Scope): void {
  if (login.scopes.includes(scope)) return;
  const message = `The token "${login.name}" may not do this: it needs the scope ${scope}.`;
  throw new DaimonError("auth.scope", message, `daimon token create <name> --scope ${scope}`);
}

// Cookies know no ports: the name tells two Daimons on one machine apart. On https the prefix `__Host-` makes browsers
// refuse a cookie that a neighbouring host or plain http sets.
const isSecure = (context: Context, options: ConsoleOptions) =>
  ownOrigin(context, options)?.startsWith("https:") === true;
const cookieOf = (context: Context, options: ConsoleOptions) =>
  isSecure(context, options) ? "__Host-daimon" : `daimon-${options.address().port}`;

/** Sets the session's cookie for 30 days. */
export function writeCookie(context: Context, options: ConsoleOptions, secret: string): void {
  setCookie(context, cookieOf(context, options), secret, {
    path: "/",
    httpOnly: true,
    sameSite: "Strict",
    secure: isSecure(context, options),
    maxAge: SESSION_LIFE / 1000,
  });
}

/** Takes the session's cookie away. */
export function dropCookie(context: Context, options: ConsoleOptions): void {
  deleteCookie(context, cookieOf(context, options), { path: "/", secure: isSecure(context, options) });
}
