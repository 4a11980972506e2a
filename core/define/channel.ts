/** What delivering one message came to. `unknown`: it may or may not have arrived. */
export type Delivery = { readonly state: "delivered"; readonly externalId?: string } | { readonly state: "unknown" };

/** How messages come and go. */
export interface Channel {
  readonly name: string;
  readonly description?: string;
  /** Delivers one message; throws when it certainly was not delivered, so that it is tried again. */
  readonly send: (
    message: { id: string; conversation: string; text: string },
    context: { secret(name: string): string; signal: AbortSignal },
  ) => Promise<Delivery>;
}
