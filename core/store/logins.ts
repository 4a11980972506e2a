import { createHash, randomBytes } from "node:crypto";
import { DaimonError } from "../base/errors.ts";
import type { Database } from "./database.ts";

/** What a login may do: `read` every GET, `write` everything else, `admin` logins and tokens too. */
export type Scope = "read" | "write" | "admin";

/** Each scope holds those below it. */
const SCOPES: Readonly<Record<Scope, readonly Scope[]>> = {
  read: ["read"],
  write: ["read", "write"],
  admin: ["read", "write", "admin"],
};

/** Who is asking. */
export interface Login {
  readonly hash: string;
  readonly kind: "session" | "token";
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** When its life was last prolonged; so that this is written now and then, not at every request. */
  readonly seenAt: Date | null;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A one-time code lives 10 minutes, a session 30 days from when it was last used; milliseconds. */
const CODE_LIFE = 10 * MINUTE;
export const SESSION_LIFE = 30 * DAY;

// Secrets are 192 random bits or more and only their SHA-256 is kept: finding a row by that hash tells a
// watcher of the time taken nothing about any secret, so no comparison here needs to be in constant time.
const hashOf = (secret: string) => createHash("sha256").update(secret).digest("hex");

/** Keeps the hash of a new secret and returns the secret. */
async function make(
  database: Database,
  login: { kind: "code" | Login["kind"]; name: string; scope: Scope; life: number },
  now: Date,
): Promise<string> {
  const random = randomBytes(login.kind === "code" ? 24 : 32).toString("base64url");
  const secret = login.kind === "token" ? `dmn_${random}` : random;
  await database.query(
    "insert into logins (hash, kind, name, scopes, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
    [hashOf(secret), login.kind, login.name, SCOPES[login.scope], now, new Date(now.getTime() + login.life)],
  );
  return secret;
}

/** Sessions that were over by then are forgotten. */
const forgotten = (now: Date) => new Date(now.getTime() - 365 * DAY);

/** Keeps a new one-time code and returns it. What is over is forgotten on this occasion. */
export async function createCode(database: Database, now: Date): Promise<string> {
  await database.query(
    "delete from logins where expires_at <= case kind when 'session' then $2::timestamptz else $1 end",
    [now, forgotten(now)],
  );
  return await make(database, { kind: "code", name: "login link", scope: "admin", life: CODE_LIFE }, now);
}

/** Exchanges a code for a session, once: of two at the same time one gets null, as does a code past its time. */
export async function exchangeCode(
  database: Database,
  exchange: { code: string; device: string },
  now: Date,
): Promise<string | null> {
  return await database.transaction(async (inside) => {
    const used = await inside.query(
      "delete from logins where hash = $1 and kind = 'code' and expires_at > $2 returning hash",
      [hashOf(exchange.code), now],
    );
    if (used.length === 0) return null;
    const { device: name } = exchange;
    return await make(inside, { kind: "session", name, scope: "admin", life: SESSION_LIFE }, now);
  });
}

/** The living session or token behind a secret, or null. */
export async function findLogin(
  database: Database,
  credential: { kind: Login["kind"]; secret: string },
  now: Date,
): Promise<Login | null> {
  const [row] = await database.query<Login>(
    `select hash, kind, name, scopes, seen_at as "seenAt" from logins where hash = $1 and kind = $2 and expires_at > $3`,
    [hashOf(credential.secret), credential.kind, now],
    "find-login",
  );
  return row ?? null;
}

/** Whether a login found earlier still stands: not signed out, removed or past its time. */
export async function isLoginAlive(database: Database, login: Login, now: Date): Promise<boolean> {
  const rows = await database.query("select from logins where hash = $1 and expires_at > $2", [login.hash, now]);
  return rows.length === 1;
}

/** Notes that a login is used; a session's 30 days begin anew. */
export async function seeLogin(database: Database, login: Login, now: Date): Promise<void> {
  await database.query(
    "update logins set seen_at = $2, expires_at = case kind when 'session' then $3 else expires_at end where hash = $1",
    [login.hash, now, new Date(now.getTime() + SESSION_LIFE)],
  );
}

/** Ends a session. */
export async function endLogin(database: Database, login: Login, now: Date): Promise<void> {
  await database.query("update logins set expires_at = $2 where hash = $1", [login.hash, now]);
}

/** Whether somebody has signed in with a link and used that login within the last year. */
export async function hasLogin(database: Database, now: Date): Promise<boolean> {
  const rows = await database.query("select from logins where kind = 'session' and expires_at > $1 limit 1", [
    forgotten(now),
  ]);
  return rows.length === 1;
}

/**
 * Makes a token and returns the only copy of it. One of that name is put in its place when `replace` is set;
 * else throws `token.exists` when such a one lives.
 */
export async function createToken(
  database: Database,
  token: { name: string; scope: Scope; days: number; replace?: boolean },
  now: Date,
): Promise<string> {
  return await database.transaction(async (inside) => {
    await inside.query("select pg_advisory_xact_lock(hashtext('token:' || $1))", [token.name]);
    await inside.query("delete from logins where kind = 'token' and name = $1 and (expires_at <= $2 or $3)", [
      token.name,
      now,
      token.replace === true,
    ]);
    const taken = await inside.query("select from logins where kind = 'token' and name = $1", [token.name]);
    if (taken.length > 0) {
      const message = `There is a token named "${token.name}" already.`;
      throw new DaimonError("token.exists", message, "Choose another name, or remove that token first.");
    }
    return await make(inside, { ...token, kind: "token", life: token.days * DAY }, now);
  });
}

/** The living tokens that people made, newest first: a server's own for its CLI has a name that none of theirs can have. */
export async function listTokens(database: Database, now: Date): Promise<object[]> {
  return await database.query<object>(
    `select name, scopes, created_at as "createdAt", seen_at as "seenAt", expires_at as "expiresAt"
     from logins where kind = 'token' and expires_at > $1 and name not like 'server %' order by created_at desc, name`,
    [now],
  );
}

/** Removes a token by name; false when there is none. */
export async function removeToken(database: Database, name: string): Promise<boolean> {
  const gone = await database.query("delete from logins where kind = 'token' and name = $1 returning hash", [name]);
  return gone.length > 0;
}
