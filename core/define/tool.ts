import type { ZodType } from "zod";
import type { Toolbox } from "./context.ts";

/** What a tool does to the world. */
export type Effect = "none" | "read" | "write" | "send" | "spend" | "destroy";

/** A typed function that a model may call. Made with `defineTool`. */
export interface Tool<Input = unknown> {
  /** Letters, digits and `_`: the providers allow no more. */
  readonly name: string;
  /** Told to the model: what it does and when to use it. */
  readonly description: string;
  readonly input: ZodType<Input>;
  readonly effect: Effect;
  /** Where data goes, for the guard: a host, an address, `hub`. Default: nowhere. */
  readonly sink?: (input: Input) => string;
  /** True when a second call with the same key does no harm: it is then repeated after a crash. */
  readonly repeatable?: boolean;
  /** True when a person must approve each call, whatever its label. */
  readonly approval?: boolean;
  /** What it returns is shown to the model as JSON. What it throws is shown as an error, and the agent goes on. */
  readonly run: (input: Input, context: Toolbox) => Promise<unknown>;
}
