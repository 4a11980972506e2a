/** Where a value stands in a request: in a header, or at a dotted path of the parsed body. */
export type Place = { readonly header: string } | { readonly data: string };

/** The sender signs the request with a shared secret. */
export interface HmacVerification {
  readonly scheme: "hmac";
  readonly algorithm: "sha256" | "sha1";
  readonly encoding: "hex" | "base64";
  /** The header that carries the signature, and what stands before it there (`sha256=`). */
  readonly header: string;
  readonly prefix?: string;
  /** What is signed: `{body}` and `{header:name}` are replaced. Default `{body}`. */
  readonly signed?: string;
  /** Refuse when this header's unix seconds differ from now by more than `toleranceSeconds`. */
  readonly timestamp?: { readonly header: string; readonly toleranceSeconds: number };
  /** The name of the secret. Its value may hold several, comma-separated, while one is rotated. */
  readonly secret: string;
}

/** The sender repeats a shared secret in a header. */
export interface EqualityVerification {
  readonly scheme: "equality";
  readonly header: string;
  readonly prefix?: string;
  readonly secret: string;
}

export type Verification = HmacVerification | EqualityVerification;

/** An address a sender posts to (`POST /hooks/<source>`), and how it proves who it is. */
export interface Webhook {
  readonly source: string;
  readonly description?: string;
  readonly verify: Verification;
  /** The event's type: these, joined by a dot, the missing ones left out. */
  readonly type: readonly Place[];
  /** The delivery's key. Default: the SHA-256 of the body. */
  readonly key?: Place;
  /** Default 1 MiB. */
  readonly maxBytes?: number;
  /** How to set the sender up, in Markdown. */
  readonly setup?: string;
}
