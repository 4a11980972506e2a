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

/** An error as it is kept in a row and shown in the console. */
export function toFailure(error: unknown): Failure {
  if (error instanceof DaimonError) {
    return { code: error.code, message: error.message, ...(error.next ? { next: error.next } : {}) };
  }
  if (error instanceof Error) return { code: "handler.threw", message: `${error.name}: ${error.message}` };
  return { code: "handler.threw", message: String(error) };
}
