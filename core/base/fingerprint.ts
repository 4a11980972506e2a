import { createHash } from "node:crypto";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Failure } from "../define/run.ts";

/** What failures have in common that are the same trouble. */
export interface Fingerprint {
  /** 32 hex digits. */
  readonly fingerprint: string;
  /** The message in words that are the same for all of them: `No plan for …`. */
  readonly title: string;
}

/**
 * The fingerprint of a failure: its code, its message with the variable parts taken out, and the function of the
 * capability's own code in which it happened. Pure.
 */
export function fingerprintOf(failure: Failure): Fingerprint {
  const words = skeletonOf(failure.message);
  const place = failure.at?.[0]?.replace(/:\d+:\d+/, "") ?? "";
  const fingerprint = createHash("sha256").update([failure.code, words, place].join("\n")).digest("hex").slice(0, 32);
  const title = words.replace(/^(Error|DaimonError): /, "");
  return { fingerprint, title: title.length > MOST_TITLE ? `${title.slice(0, MOST_TITLE)}…` : title };
}

const MOST_TITLE = 160;
const MOST_MESSAGE = 2000;
/** Stands for a part that differs from one failure to the next. */
const HOLE = "…";
/** A quoted text; what is followed by a colon is the name of a field, and stays. */
const QUOTED = /"(?:[^"\\]|\\.)*"(?!\s*:)|“[^”]*”|`[^`]*`|(?<![\p{L}\p{N}])'[^'\n]*'(?![\p{L}\p{N}])/gu;
/** JavaScript quotes the names of the code's own fields: they tell two bugs apart. */
const OF_THE_LANGUAGE = /^(TypeError|ReferenceError|SyntaxError): (?![\s\S]*JSON)/;

const VARIABLE: readonly (readonly [RegExp, string])[] = [
  // Of a URL the host stays.
  [/\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/@"'<>]*@)?([^\s/?#"'<>()]+)[^\s"'<>()]*/gi, `$1$2/${HOLE}`],
  [/[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/gu, HOLE],
  // `cus_NffrFeUf`, and what is too long for a word.
  [/\b[a-z]{2,10}_(?=\w*[A-Z])\w{8,}|[\w+/=-]{32,}/g, HOLE],
  // Whatever has a digit in it: numbers, times, hashes, ids. A status of HTTP says what the trouble is, and stays.
  [/(?<!\b(?:status|answered|returned|http|code)[ :=(]*(?:code[ :=(]*)?)\b[\p{L}_-]*\p{N}[\p{L}\p{N}_-]*/giu, HOLE],
  [/\b(?<=(?:status|answered|returned|http|code)[ :=(]*(?:code[ :=(]*)?)(?![45]\d\d\b)\p{N}[\p{L}\p{N}_-]*/giu, HOLE],
  // Several in a row, as in a time or a list, are one.
  [/…(?:[\s,.:;/+-]*…)+/g, HOLE],
  [/\s+/g, " "],
];

/** A message without its ids, numbers, times, hashes, addresses, quoted values, and tails of URLs. */
export function skeletonOf(message: string): string {
  const text = (wordsOfZod(message) ?? message).slice(0, MOST_MESSAGE).replace(/\p{Cc}/gu, " ");
  const plain = OF_THE_LANGUAGE.test(text)
    ? text
    : text.replace(QUOTED, (quoted) => `${quoted[0]}${HOLE}${quoted.at(-1)}`);
  return VARIABLE.reduce((words, [pattern, by]) => words.replace(pattern, by), plain).trim();
}

/** The message of a schema's error is JSON: which fields were wrong, and how. */
function wordsOfZod(message: string): string | null {
  const list = /^(?:Zod\w*Error: )?(\[\s*\{[\s\S]*\}\s*\])$/.exec(message)?.[1];
  if (!list) return null;
  try {
    const wrongs = JSON.parse(list) as { path: (string | number)[]; message: string }[];
    const place = (path: (string | number)[]) => path.map((key) => (typeof key === "number" ? "[]" : key)).join(".");
    return [...new Set(wrongs.map((wrong) => `${place(wrong.path)}: ${wrong.message}`))].join("; ");
  } catch {
    // It only looks like one.
    return null;
  }
}

const MOST_FRAMES = 8;
const CORE = dirname(import.meta.dirname) + sep;

/**
 * Where in the capability's own code an error was thrown, innermost first: `planOf (billing/plan.ts:41:9)`. Empty when
 * nothing of it is known. `handler` names the capability: `trigger:billing/plan`.
 */
export function framesOf(error: unknown, handler: string, core: string = CORE): string[] {
  if (!(error instanceof Error) || !error.stack) return [];
  const capability = /:([^/]+)\//.exec(handler)?.[1] ?? "";
  return error.stack
    .split("\n")
    .map((line) => /^\s+at (?:async )?(?:(.*) \()?((?:file:\/\/)?\/[^()]*?)(?:\?[^:()]*)?(:\d+:\d+)\)?$/.exec(line))
    .flatMap((found) => {
      if (!found) return [];
      const path = found[2]!.startsWith("file:") ? fileURLToPath(found[2]!) : found[2]!;
      if (path.startsWith(core) || path.includes("/node_modules/")) return [];
      const own = path.lastIndexOf(`/${capability}/`);
      const name = own >= 0 ? path.slice(own + 1) : path.split("/").slice(-2).join("/");
      return found[1] ? `${found[1]} (${name}${found[3]})` : `${name}${found[3]}`;
    })
    .slice(0, MOST_FRAMES);
}
