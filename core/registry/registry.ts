import type { Agent } from "../define/agent.ts";
import type { Capability } from "../define/capability.ts";
import type { Failure } from "../define/run.ts";

/** A recorded payload: `samples/<type>.json`. */
export interface Sample {
  readonly source: string;
  readonly type: string;
  /** Absolute. */
  readonly file: string;
}

/** A capability that was loaded and checked. */
export interface Installed {
  readonly capability: Capability;
  /** Absolute, as every path here. */
  readonly folder: string;
  /** A fingerprint of its code: another one means that its handlers changed. */
  readonly version: string;
  /** Of `agents/*.md`. */
  readonly agents: readonly Agent[];
  /** `skills/`, when it is there. */
  readonly skillFolder: string | null;
  readonly samples: readonly Sample[];
}

/** A folder that was not let in, and why. The rest runs without it. */
export interface Refused {
  readonly name: string;
  readonly folder: string;
  readonly problem: Failure;
}

export interface Registry {
  readonly installed: readonly Installed[];
  readonly refused: readonly Refused[];
}
