import type { Limits } from "./limits.ts";

/** An agent, read from a Markdown file: the front matter says what it may do, the body what it is told. */
export interface Agent {
  readonly name: string;
  readonly description: string;
  /** A role of `daimon.config.ts`. */
  readonly model: string;
  /** Names of tools; `*` is every tool that is installed. */
  readonly tools: readonly string[];
  readonly limits: Limits;
  readonly instructions: string;
}
