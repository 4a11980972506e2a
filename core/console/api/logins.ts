import { z } from "zod";
import { createToken, endLogin, exchangeCode, listTokens, removeToken } from "../../store/logins.ts";
import {
  type Api,
  createLoginLink,
  dropCookie,
  ownOrigin,
  requireScope,
  type WrongCounter,
  writeCookie,
} from "../auth.ts";
import { present, readBody, text } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const CODE = z.strictObject({ code: text(200) });

const TOKEN = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,49}$/, "use up to 50 small letters, digits, '.', '_' and '-'"),
  scope: z.enum(["read", "write", "admin"]),
  days: z.number().int().min(1).max(3650).default(90),
});

/** Signing in: the one route that needs no login. */
export function sessionRoutes(api: Api, options: ConsoleOptions, wrong: WrongCounter): void {
  const { database, clock, log } = options;
  api.post("/session", async (context) => {
    const { code } = await readBody(context, CODE);
    const device = (context.req.header("user-agent") ?? "unknown device").slice(0, 200);
    const secret = await exchangeCode(database, { code, device }, clock.now());
    if (!secret) {
      throw wrong(
        context,
        "This link was used already, or is older than 10 minutes.",
        "Run `daimon login` for a new one.",
      );
    }
    log.info("signed in", { device });
    writeCookie(context, options, secret);
    return context.body(null, 204);
  });
}

/** Signing out, login links and tokens. */
export function loginRoutes(api: Api, options: ConsoleOptions): void {
  const { database, clock, log } = options;

  api.delete("/session", async (context) => {
    const login = context.get("login");
    if (login.kind === "session") await endLogin(database, login, clock.now());
    dropCookie(context, options);
    return context.body(null, 204);
  });

  for (const path of ["/logins", "/tokens", "/tokens/*"]) {
    api.use(path, async (context, next) => {
      requireScope(context.get("login"), "admin");
      await next();
    });
  }

  api.post("/logins", async (context) => {
    const base = options.config.publicUrl ?? ownOrigin(context, options)!;
    log.info("a login link was made", { by: context.get("login").name });
    return context.json({ url: await createLoginLink(database, base, clock.now()) });
  });

  api.get("/tokens", async (context) => context.json({ items: await listTokens(database, clock.now()), next: null }));

  api.post("/tokens", async (context) => {
    const token = await readBody(context, TOKEN);
    const secret = await createToken(database, token, clock.now());
    log.info("a token was made", { name: token.name, scope: token.scope, by: context.get("login").name });
    return context.json({ token: secret }, 201);
  });

  api.delete("/tokens/:name", async (context) => {
    const name = context.req.param("name");
    present((await removeToken(database, name)) || null, "token", name);
    log.info("a token was removed", { name, by: context.get("login").name });
    return context.body(null, 204);
  });
}
