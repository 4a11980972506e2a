/** Whether content may steer the system. Webhook bodies, web pages and mails never may. */
export type Integrity = "trusted" | "untrusted";

/** Who may see content. `secret` content may leave the machine by no tool at all. */
export type Privacy = "public" | "private" | "secret";

/** How far content is trusted, and how private it is. A run carries the join of all that it has read. */
export interface Label {
  readonly integrity: Integrity;
  readonly privacy: Privacy;
}

/** What the owner says, and what stands in the hub's identity/. */
export const OWNER: Label = { integrity: "trusted", privacy: "private" };

/** What strangers send. */
export const STRANGER: Label = { integrity: "untrusted", privacy: "public" };

/** Nothing read yet: the neutral element of the join. */
export const BLANK: Label = { integrity: "trusted", privacy: "public" };
