import type { Failure } from "../define/run.ts";

type Options = ErrorOptions & { readonly retryAfter?: number | undefined };

/** Every error a person may see: a code, a sentence that says what and why, and what to do next. */
export class DaimonError extends Error {
  readonly code: string;
  readonly next: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, next?: string, options?: Options) {
    super(message, options);
    this.name = "DaimonError";
    this.code = code;
    this.next = next;
    this.retryAfter = options?.retryAfter;
  }
}

/** Nothing has the name that was given: `what` is like `agent "nobody"`, `known` are the names there are. */
export function unknownName(code: string, what: string, known: Iterable<string>): DaimonError {
  return new DaimonError(code, `There is no ${what}.`, `There are: ${[...known].join(", ") || "none"}.`);
}

/**
 * An error as it is kept in a row and shown in the console. An error of a capability's own may have a code like ours
 * (`payload.invalid`), a `next`, and a `retryAfter`.
 */
export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: "handler.threw", message: shorten(String(error)) };
  const { code, message, next, retryAfter } = error as Partial<DaimonError> & Error;
  const coded = CODE.test(String(code));
  return {
    code: coded ? String(code) : "handler.threw",
    message: shorten(coded ? String(message) : `${error.name}: ${message}`),
    ...(coded && next ? { next: String(next) } : {}),
    ...(Number(retryAfter) > 0 ? { retryAfter: Number(retryAfter) } : {}),
  };
}

/** Some put the whole page that they were answered with into their message. */
const MOST_MESSAGE = 10_000;

function shorten(message: string): string {
  return message.length <= MOST_MESSAGE ? message : `${message.slice(0, MOST_MESSAGE)}… (${message.length} signs)`;
}

const CODE = /^[a-z][a-z-]*(\.[a-z-]+)+$/;

/** What `work` returns, or throws what `tell` makes of why not, without the call and path of a file system's error. */
export function attempt<Result>(work: () => Result, tell: (why: string) => DaimonError): Result {
  try {
    return work();
  } catch (error) {
    throw tell((error as Error).message.split(/, |\n/)[0]!);
  }
}
