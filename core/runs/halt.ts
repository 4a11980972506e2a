/** Why an execution is broken off from outside: the reason of its AbortSignal. */
export type Interruption = "canceled" | "lost" | "draining" | "limit.minutes";

/** Breaks an execution off from outside, once. An AbortSignal costs more than a short run does: it is made for who asks for it. */
export class Halt {
  /** Null: nothing has broken it off. */
  by: Interruption | null = null;
  #controller: AbortController | undefined;
  #tell: ((by: Interruption) => void) | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.by) this.#controller.abort(this.by);
    return this.#controller.signal;
  }

  now(by: Interruption): void {
    if (this.by) return;
    this.by = by;
    this.#controller?.abort(by);
    this.#tell?.(by);
  }

  /** Tells one, at once if it has happened. */
  onHalt(tell: (by: Interruption) => void): void {
    this.#tell = tell;
    if (this.by) tell(this.by);
  }
}
