import type { Failure } from "../define/run.ts";

/** Every error a person may see: a code, a sentence that says what and why, and what to do next. */
export class DaimonError extends Error {
  readonly code: string;
  readonly next: string | undefined;

  constructor(code: string, message: string, next?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DaimonError";
    this.code = code;
    this.next = next;
  }
}

/** Nothing has the name that was given: `what` is like `agent "nobody"`, `known` are the names there are. */
export function unknownName(code: string, what: string, known: Iterable<string>): DaimonError {
  return new DaimonError(code, `There is no ${what}.`, `There are: ${[...known].join(", ") || "none"}.`);
}

/**
 * An error as it is kept in a row and shown in the console. An error of a capability's own may have a code like ours
 * (`payload.invalid`), and a `next`.
 */
export function toFailure(error: unknown): Failure {
  if (error instanceof Error && "code" in error && CODE.test(String(error.code))) {
    const next = "next" in error && error.next ? { next: String(error.next) } : {};
    return { code: String(error.code), message: error.message, ...next };
  }
  if (error instanceof Error) return { code: "handler.threw", message: `${error.name}: ${error.message}` };
  return { code: "handler.threw", message: String(error) };
}

const CODE = /^[a-z][a-z-]*(\.[a-z-]+)+$/;

/** What `work` returns, or throws what `tell` makes of why not, without the call and path of a file system's error. */
export function attempt<Result>(work: () => Result, tell: (why: string) => DaimonError): Result {
  try {
    return work();
  } catch (error) {
    throw tell((error as Error).message.split(", ")[0]!);
  }
}
