import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { DaimonError } from "../base/errors.ts";
import { approvalRoutes } from "./api/approvals.ts";
import { capabilityRoutes } from "./api/capabilities.ts";
import { conversationRoutes } from "./api/conversations.ts";
import { eventRoutes } from "./api/events.ts";
import { hubRoutes } from "./api/hub.ts";
import { issueRoutes } from "./api/issues.ts";
import { liveRoutes } from "./api/live.ts";
import { loginRoutes, sessionRoutes } from "./api/logins.ts";
import { repairRoutes } from "./api/repairs.ts";
import { runRoutes } from "./api/runs.ts";
import { scheduleRoutes } from "./api/schedules.ts";
import { systemRoutes } from "./api/system.ts";
import { triggerRoutes } from "./api/triggers.ts";
import { type Api, type ConsoleEnv, createWrongCounter, guardDoor, requireLogin } from "./auth.ts";
import { answerError } from "./errors.ts";
import type { ConsoleOptions } from "./options.ts";
import { createPages } from "./pages.ts";
import { limitStreams } from "./stream.ts";

const MOST_BYTES = 1024 * 1024;

/** What other doors answer; a page is never shown there. */
const NOT_PAGES = /^\/(api|hooks|mcp|healthz|readyz|metrics)(\/|$)/;

/**
 * The console: its API below `/api`, and its pages everywhere else. To be mounted at `/` after all other doors,
 * because it answers every path. Starts to make the pages in the background.
 */
export function createConsole(options: ConsoleOptions): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  const wrong = createWrongCounter(() => options.clock.now());
  const pages = createPages(
    options.buildBundle ?? (async () => (await import("./web/bundle.ts")).buildBundle()),
    options.log,
  );

  app.onError((error, context) => answerError(context, error, options.log));
  app.use(securityHeaders, guardDoor(options));
  app.use("/api/*", bodyLimit({ maxSize: MOST_BYTES, onError: tooLarge }));
  const api: Api = app.basePath("/api");
  sessionRoutes(api, options, wrong);
  api.use(requireLogin(options, wrong));
  const streams = limitStreams();
  api.use("/live", streams).use("/chat", streams);
  const rooms = [
    loginRoutes,
    systemRoutes,
    eventRoutes,
    runRoutes,
    repairRoutes,
    triggerRoutes,
    issueRoutes,
    scheduleRoutes,
    approvalRoutes,
    conversationRoutes,
    liveRoutes,
    hubRoutes,
    capabilityRoutes,
  ];
  for (const addRoutes of rooms) addRoutes(api, options);
  app.get("*", (context) => (NOT_PAGES.test(context.req.path) ? nothingHere(context) : pages.serve(context)));
  app.all("*", nothingHere);
  return app;
}

const tooLarge = (context: Context): never => {
  context.header("Connection", "close"); // What else comes is not read.
  throw new DaimonError("request.large", "The body is larger than 1 MiB.", "Send less at a time.");
};

const nothingHere = ({ req }: Context): never => {
  const message = `Nothing answers ${req.method} at ${req.path.slice(0, 100)}.`;
  throw new DaimonError("route.missing", message, "docs/reference/api.md lists what there is.");
};

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "font-src 'self'; manifest-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const securityHeaders: MiddlewareHandler = async (context, next) => {
  await next();
  for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
  if (!context.res.headers.has("Cache-Control")) context.res.headers.set("Cache-Control", "no-store");
};
