import { BLANK, type Label } from "../define/label.ts";

const RANK = { public: 0, private: 1, secret: 2 } as const;

/** The label of what was made from all of these: as untrusted as the least trusted, as private as the most private. */
export function join(...labels: readonly Label[]): Label {
  return labels.reduce(
    (sum, label) => ({
      integrity: label.integrity === "untrusted" ? "untrusted" : sum.integrity,
      privacy: RANK[label.privacy] > RANK[sum.privacy] ? label.privacy : sum.privacy,
    }),
    BLANK,
  );
}
