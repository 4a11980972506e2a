import type { Scalar } from "./event.ts";

/** Where a value stands in a request: in a header, at a dotted path of the parsed body, or in the query of its URL. */
export type Place = { readonly header: string } | { readonly data: string } | { readonly query: string };

/** What stands at a place, told in other words: one word for whatever it is, or a word for each value. */
export type Named = Place & { readonly as?: string | Readonly<Record<string, string>> };

/** What must stand at a place: one of these values, a beginning, the value of a secret; else anything at all. */
export type Condition = Place & {
  readonly is?: Scalar | readonly Scalar[];
  readonly starts?: string;
  /** The name of the secret that must stand there. */
  readonly secret?: string;
};

/** The time of signing, by which a request that was caught and is sent again later is refused. */
export type Timestamp = (Place | { readonly field: string }) & {
  /** Default `seconds`, since 1970. */
  readonly unit?: "seconds" | "milliseconds";
  /** How far it may be from now, on either side. Default 300. */
  readonly toleranceSeconds?: number;
};

/** What every scheme that signs says. It is itself the place of the signature: `header`, or `data` in the body. */
interface Signing {
  /** What stands before the signature (`sha256=`). */
  readonly prefix?: string;
  /**
   * The value is a list, such as `t=1,v1=a,v1=b` (`separator: ",", assign: "="`) or `v1,a v1,b`: any of those
   * called `name` may be the signature.
   */
  readonly fields?: { readonly separator: string; readonly assign: string; readonly name: string };
  /**
   * What is signed. Replaced are `{body}`, `{header:name}`, `{data:path}`, `{timestamp}`, `{method}`, `{url}` (the
   * public one) and `{form}` (the body's fields sorted, names and values joined). Default `{body}`.
   */
  readonly signed?: string;
  readonly timestamp?: Timestamp;
  /** How the key is written, and what may stand before it. Default: the text itself is the key. */
  readonly key?: { readonly encoding: "base64" | "hex"; readonly prefix?: string };
  /** The name of the secret, or of the public key. Its value may hold several, comma-separated, while one is rotated. */
  readonly secret: string;
}

/** The sender signs with a shared secret. */
export type HmacVerification = Place &
  Signing & {
    readonly scheme: "hmac";
    readonly algorithm: "sha256" | "sha1";
    readonly encoding: "hex" | "base64";
    /** Characters that stand plain in the signed URL, though the request has them percent-encoded. */
    readonly plain?: string;
    /** The query parameter with the body's SHA-256 in hex: then the URL is signed, and `{form}` is empty. */
    readonly bodyHash?: string;
  };

/** The sender signs with a key of which we have the public half. */
export type Ed25519Verification = Place & Signing & { readonly scheme: "ed25519"; readonly encoding: "hex" | "base64" };

/** The sender repeats a shared secret at a place, or as the password of HTTP's basic authentication. */
export type EqualityVerification = (Place | { readonly basic: true }) & {
  readonly scheme: "equality";
  readonly prefix?: string;
  readonly secret: string;
};

/** The sender shows a token (JWT, RS256) that a third party has signed. */
export type TokenVerification = {
  readonly scheme: "token";
  readonly header: string;
  readonly prefix?: string;
  /** Where the third party publishes its keys, as a JSON Web Key Set. */
  readonly keys: string;
  readonly issuers: readonly string[];
  /** For whom the token must be. Default: this address, as the world calls it. */
  readonly audience?: string;
  /** The claim in which the secret must stand, and what else the token must claim. */
  readonly claim: string;
  readonly claims?: Readonly<Record<string, Scalar>>;
  readonly secret: string;
};

export type Verification = HmacVerification | EqualityVerification | Ed25519Verification | TokenVerification;

/** What the sender is told. Neither `json` nor `text` nor `echo`: the event's id, or why it was refused. */
export interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
  /** The media type of `text`. Default `text/plain`. */
  readonly media?: string;
  /** The value at this place of the request, as text. */
  readonly echo?: Place;
  /** Only to a request in which all of this holds. */
  readonly when?: readonly Condition[];
}

/** A request by which a sender tries out an address. It is answered and forgotten. */
export interface Handshake {
  /** A GET is not signed; a POST is, and so is answered after it was verified. Default POST. */
  readonly method?: "GET" | "POST";
  readonly when: readonly Condition[];
  readonly reply: Reply;
  /** The sender chooses the secret and brings it here, unsigned, while there is none yet: the owner is shown it. */
  readonly offers?: Place;
}

/** An address a sender posts to (`POST /hooks/<source>`), and how it proves who it is. */
export interface Webhook {
  readonly source: string;
  readonly description?: string;
  readonly verify: Verification;
  /** The event's type: these, joined by a dot, the missing ones left out. */
  readonly type: readonly Named[];
  /** The delivery's key: one place, or several joined, the missing ones left out. Default: the SHA-256 of the body. */
  readonly key?: Place | readonly Place[];
  /**
   * Lists of which each item is an event of its own: `["events[]"]`, `["entry[].changes[].value.messages[]"]`. Its
   * data is the delivery with the lists on the way replaced by the one item: `events.id`. Type and key are read there.
   */
  readonly items?: readonly string[];
  readonly handshakes?: readonly Handshake[];
  /** Where 202 (200 for a duplicate) and 401 would not do: of `accepted` the first that holds. */
  readonly replies?: { readonly accepted?: readonly Reply[]; readonly refused?: Reply };
  /** How the sender writes its body; what comes in is read by its content type. Default `json`. */
  readonly format?: "json" | "form" | "xml";
  /** Default 1 MiB. */
  readonly maxBytes?: number;
  /**
   * Above so many verified requests within `per` (`"1m"`), for each process, the sender is told to come again later: 429
   * with Retry-After. Default: none is told so.
   */
  readonly rate?: { readonly limit: number; readonly per: string };
  /** The sender does not send again what it was refused: it may have no `rate`. */
  readonly once?: true;
  /** When nothing came for so long (`"24h"`), an issue says so. Default: never. */
  readonly expectEvery?: string;
  /** How to set the sender up, in Markdown. */
  readonly setup?: string;
}

/** The names of all secrets that a webhook speaks of, that of its signatures first. */
export function secretsOf(webhook: Webhook): string[] {
  const conditions = (webhook.handshakes ?? []).flatMap((handshake) => handshake.when);
  return [webhook.verify.secret, ...conditions.flatMap(({ secret }) => secret ?? [])];
}
