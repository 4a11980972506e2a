import { createHash } from "node:crypto";
import type { Label } from "../define/label.ts";

/** JSON with the keys of every object sorted, so that equal values are equal text (the idea of RFC 8785). */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

/**
 * What an approval is bound to: the SHA-256, in hex, of one exact action. Another argument, or more read
 * meanwhile from outside, is another action and needs another answer.
 */
export function actionDigest(action: { tool: string; input: unknown; label: Label }): string {
  const { tool, input, label } = action;
  const { integrity, privacy } = label;
  return createHash("sha256")
    .update(canonicalJson({ tool, input, label: { integrity, privacy } }))
    .digest("hex");
}
