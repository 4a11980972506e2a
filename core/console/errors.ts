import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Failure } from "../define/run.ts";

/** The HTTP statuses of the codes that are ours alone. */
const EXACT: Readonly<Record<string, ContentfulStatusCode>> = {
  "auth.missing": 401,
  "auth.wrong": 401,
  "auth.scope": 403,
  "auth.origin": 403,
  "auth.host": 421,
  "request.large": 413,
};

/** Those of all others, by the last word of the code. */
const BY_WORD: Readonly<Record<string, ContentfulStatusCode>> = {
  missing: 404,
  zone: 400,
  never: 400,
  unknown: 404,
  invalid: 400,
  wrong: 400,
  path: 400,
  archived: 400,
  binary: 400,
  often: 429,
  down: 503,
  unavailable: 503,
  unready: 503,
  busy: 503,
};

/** The HTTP status of an error's code; what is not known to be anything else is a conflict with the state of things. */
function statusOf(code: string): ContentfulStatusCode {
  return EXACT[code] ?? BY_WORD[code.split(".").at(-1)!] ?? 409;
}

/**
 * Answers with `{"error": {code, message, next}}` and the code's status. What nobody meant a person to see is
 * logged, and told without its words.
 */
export function answerError(context: Context, error: unknown, log: Log): Response {
  if (error instanceof DaimonError) return context.json({ error: toFailure(error) }, statusOf(error.code));
  if ((error as Failure | null)?.code === "22021") return context.json({ error: NUL }, 400);
  const { method, path } = context.req;
  log.error("a request failed", { method, path, error: (error as Error | null)?.stack ?? String(error) });
  if (!isDatabaseDown(error)) return context.json({ error: FAILED }, 500);
  context.header("Retry-After", "5");
  return context.json({ error: DOWN }, 503);
}

/** SQLSTATE 22021. */
const NUL: Failure = { code: "request.invalid", message: "NUL stands in no name.", next: "Leave it out." };
const FAILED: Failure = {
  code: "server.failed",
  message: "The request failed here.",
  next: "`daimon logs` tells why.",
};
const DOWN: Failure = {
  code: "database.down",
  message: "The database does not answer.",
  next: "Try again in some seconds; `daimon doctor` tells more.",
};

/** PostgreSQL's classes 08 (connection), 53 (no room) and 57P (shutdown), and those of the socket below. */
function isDatabaseDown(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code ?? "");
  const message = error instanceof Error ? error.message : "";
  return (
    /^(08...|53...|57P..|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE)$/.test(code) ||
    /Connection terminated|timeout exceeded when trying to connect/.test(message)
  );
}
