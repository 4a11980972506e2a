import type { Brain } from "./server.ts";

/** The rule brain of the demo model. */
export function createDemoBrain(keyName: string): Brain {
  return () => ({
    text: `Hello. I am Daimon's demo: no model is behind me. Put ${keyName}=… in home/.env for a real one.`,
    pace: 15,
  });
}
