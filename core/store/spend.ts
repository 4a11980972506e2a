import { newId } from "../base/ids.ts";
import type { Database } from "./database.ts";

/** How long money is held for one model call, in milliseconds; longer than any call may take. */
export const RESERVATION_LEASE = 15 * 60_000;

/** A scope is `run:<id>`, `day:2026-11-22` or `month:2026-11`. */
export interface ScopeLimit {
  readonly scope: string;
  readonly limitUsd: number;
}

/** `2026-11-22` in an IANA zone (default: the machine's): the day that a call is counted in. */
export function dayOf(now: Date, zone?: string): string {
  return new Intl.DateTimeFormat("en-CA", zone ? { timeZone: zone } : {}).format(now);
}

/** What a scope has spent, and what is held for calls under way, in US dollars. */
export interface Spend {
  readonly scope: string;
  readonly spentUsd: number;
  readonly reservedUsd: number;
}

export type Reserved =
  | { readonly reservationId: string }
  | { readonly refused: ScopeLimit & { readonly usedUsd: number } };

/**
 * Holds `usd` in all scopes or in none. What is spent and held together never passes a limit, however many ask
 * at once: the scopes' rows are locked, always in the order of their names. An earlier reservation of the same
 * step is what a crash left behind; nobody knows whether that call was paid, so it counts as spent in full.
 */
export async function reserve(
  database: Database,
  request: { runId: string; step: string; scopes: readonly ScopeLimit[]; usd: number; now: Date },
): Promise<Reserved> {
  const { runId, step, now } = request;
  const usd = exact(Math.ceil(request.usd * 1e9) / 1e9);
  const scopes = request.scopes.map((each) => each.scope);
  const limits = request.scopes.map((each) => exact(each.limitUsd));
  await settleLeftovers(database, runId, step);
  return database.transaction(async (inside) => {
    await inside.query(
      "insert into spend (scope) select unnest($1::text[]) order by 1 on conflict (scope) do nothing",
      [scopes],
    );
    const rows = await inside.query<{ scope: string; limitUsd: number; usedUsd: number; fits: boolean }>(
      `select scope, limits.usd as "limitUsd", spent + reserved as "usedUsd",
              spent + reserved + $3::numeric <= limits.usd as fits
       from spend join unnest($1::text[], $2::numeric[]) as limits (scope, usd) using (scope)
       order by scope for update of spend`,
      [scopes, limits, usd],
    );
    const full = rows.find((row) => !row.fits);
    if (full) return { refused: { scope: full.scope, limitUsd: full.limitUsd, usedUsd: full.usedUsd } };
    const id = newId("res", now.getTime());
    await inside.query(
      `with held as (update spend set reserved = reserved + $5::numeric where scope = any($4))
       insert into reservations (id, run_id, step, scopes, usd, expires_at)
       values ($1, $2, $3, $4, $5::numeric, $6)`,
      [id, runId, step, scopes, usd, new Date(now.getTime() + RESERVATION_LEASE)],
    );
    return { reservationId: id };
  });
}

/**
 * Gives the held money back and counts `usd` as spent; `null` is the whole estimate. A reservation that was
 * settled before, by a sweep or a successor, stays as it was settled.
 */
export async function settle(database: Database, reservationId: string, usd: number | null): Promise<void> {
  await database.transaction(async (inside) => {
    const [held] = await inside.query<{ scopes: string[]; usd: string }>(
      "delete from reservations where id = $1 returning scopes, usd::text",
      [reservationId],
    );
    if (!held) return;
    await inside.query("select from spend where scope = any($1) order by scope for update", [held.scopes]);
    await inside.query(
      "update spend set reserved = reserved - $2::numeric, spent = spent + $3::numeric where scope = any($1)",
      [held.scopes, held.usd, usd === null ? held.usd : exact(usd)],
    );
  });
}

/** Settles what was held past its lease at the full estimate. Returns how many there were. */
export async function sweepReservations(database: Database, now: Date): Promise<number> {
  const expired = await database.query<{ id: string }>(
    "select id from reservations where expires_at <= $1 order by id limit 1000",
    [now],
  );
  for (const { id } of expired) await settle(database, id, null);
  return expired.length;
}

/** What the scopes have spent and hold; a scope that nothing was spent in has zeros. */
export async function readSpend(database: Database, scopes: readonly string[]): Promise<Spend[]> {
  const rows = await database.query<Spend>(
    `select scope, spent as "spentUsd", reserved as "reservedUsd" from spend where scope = any($1)`,
    [scopes],
  );
  return scopes.map((scope) => rows.find((row) => row.scope === scope) ?? { scope, spentUsd: 0, reservedUsd: 0 });
}

/** In transactions of their own: their scopes may be other days than the new ones, which would break the order. */
async function settleLeftovers(database: Database, runId: string, step: string): Promise<void> {
  const left = await database.query<{ id: string }>("select id from reservations where run_id = $1 and step = $2", [
    runId,
    step,
  ]);
  for (const { id } of left) await settle(database, id, null);
}

/** Dollars as a decimal of billionths: sums of it are exact, and what is held goes back to nought. */
const exact = (usd: number) => usd.toFixed(9);
