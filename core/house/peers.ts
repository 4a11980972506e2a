import type { Live, LiveChange } from "../base/live.ts";

/** NOTIFY carries at most 8000 bytes. */
const MOST_BYTES = 7000;
const GATHER_MILLISECONDS = 50;

/**
 * Lets what changes in one process be seen in the others. Pieces of an answer that come within a moment travel
 * together; when there is nobody to hear it, nothing is said.
 */
export function bridgeLive(options: { live: Live; hasPeers: () => boolean; say: (text: string) => void }): {
  hear(text: string): void;
} {
  const { live } = options;
  const own = crypto.randomUUID().slice(0, 8);
  const gathered: LiveChange[] = [];
  let hearing = false;

  const flush = () => {
    while (gathered.length > 0) {
      const batch: LiveChange[] = [];
      let size = 0;
      while (gathered.length > 0 && size < MOST_BYTES) {
        size += Buffer.byteLength(JSON.stringify(gathered[0]));
        if (size < MOST_BYTES || batch.length === 0) batch.push(gathered.shift()!);
      }
      const text = JSON.stringify({ from: own, changes: batch });
      if (Buffer.byteLength(text) < 8000) options.say(text);
    }
  };

  live.subscribe((change) => {
    if (hearing || !options.hasPeers()) return;
    const last = gathered.at(-1);
    if (last?.kind === "delta" && change.kind === "delta" && last.id === change.id) {
      gathered[gathered.length - 1] = { ...last, text: (last.text ?? "") + (change.text ?? "") };
    } else gathered.push(change);
    if (gathered.length === 1) setTimeout(flush, GATHER_MILLISECONDS);
  });

  return {
    hear(text) {
      const { from, changes } = JSON.parse(text) as { from: string; changes: LiveChange[] };
      if (from === own) return;
      hearing = true;
      for (const change of changes) live.publish(change);
      hearing = false;
    },
  };
}
