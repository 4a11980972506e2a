import { randomFillSync } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const pool = new Uint8Array(4096);
let used = pool.length;
let last = -1;
let time = "";
const digits = new Uint8Array(16);

export type IdPrefix = "evt" | "run" | "msg" | "cnv" | "apr" | "prc" | "tok" | "ses" | "req" | "res" | "sig" | "iss";

/**
 * A new id: `evt_` and 26 characters of Crockford base32 (48 bits of milliseconds, 80 random bits; the
 * layout of ULID, https://github.com/ulid/spec), so that ids sort by the time they were made. Those that one process
 * makes within a millisecond count up from the first.
 */
export function newId(prefix: IdPrefix, now: number = Date.now()): string {
  if (now === last && countUp()) return `${prefix}_${time}${spell()}`;
  last = now;
  time = spellTime(now);
  if (used + 16 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let place = 0; place < 16; place++) digits[place] = pool[used++]! & 31;
  return `${prefix}_${time}${spell()}`;
}

/** False when there is no higher one; then the next is drawn afresh. */
function countUp(): boolean {
  for (let place = 15; place >= 0; place--) {
    if (digits[place]! < 31) {
      digits[place]!++;
      return true;
    }
    digits[place] = 0;
  }
  return false;
}

function spell(): string {
  let text = "";
  for (const digit of digits) text += ALPHABET[digit];
  return text;
}

function spellTime(milliseconds: number): string {
  let text = "";
  for (let rest = milliseconds, place = 0; place < 10; place++, rest = Math.floor(rest / 32)) {
    text = ALPHABET[rest % 32] + text;
  }
  return text;
}

/** What stands before every id that was made at this time or later, and behind all earlier ones. */
export function firstId(prefix: IdPrefix, milliseconds: number): string {
  return `${prefix}_${spellTime(milliseconds)}`;
}

/** When an id was made, in milliseconds. */
export function timeOf(id: string): number {
  return [...id.slice(4, 14)].reduce((time, letter) => time * 32 + ALPHABET.indexOf(letter), 0);
}
