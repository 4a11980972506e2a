import { DaimonError } from "../base/errors.ts";

/** What the process says when it ends. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  missing: 3,
  login: 4,
  run: 5,
  doctor: 6,
  interrupted: 130,
} as const;

/** An error that ends the command with an exit code of its own. */
export class CliError extends DaimonError {
  readonly exit: number;

  constructor(exit: number, code: string, message: string, next?: string) {
    super(code, message, next);
    this.exit = exit;
  }
}

/** A wrong use of the command line. */
export const usage = (message: string, next?: string): CliError => new CliError(EXIT.usage, "cli.usage", message, next);
