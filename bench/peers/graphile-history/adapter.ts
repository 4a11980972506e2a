import type { Adapter } from "../adapter.ts";
import { createAdapter } from "../graphile-worker/adapter.ts";

/** The same engine, where something is kept of what is done: all others do that by themselves. */
export const adapter: Adapter = createAdapter({ keepsHistory: true });
