/** An answer of GitHub's API. */
export interface Answer {
  readonly data: unknown;
  /** GitHub's own time (ISO 8601). */
  readonly at: string;
  /** The address of the next page. */
  readonly next: string | null;
  /** Seconds until GitHub wants to be asked again: this was not answered. */
  readonly limited: number | null;
}

export interface Asker {
  readonly token: string;
  /** Default: GitHub's own. */
  readonly base?: string | undefined;
  readonly signal: AbortSignal;
}

const BASE = "https://api.github.com";
const LONGEST_PAUSE = 3600;
/** Ids of deliveries are greater than what a number of JavaScript holds: they are read as text. */
const BIG_ID = /(?<!\\)"id":\s*(\d{16,})/g;

/**
 * One request to GitHub's REST API; `path` may be an address that GitHub gave as the next page. Throws `github.unreachable`
 * and `github.failed`, which pass, and `github-token.wrong`, `github.denied`, `github.missing`, `github.invalid`, which do not.
 * https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
 */
export async function askGitHub(
  { token, base = BASE, signal }: Asker,
  method: "GET" | "POST",
  path: string,
  body?: object,
): Promise<Answer> {
  const root = base.replace(/\/+$/, "");
  const url = path.startsWith("/") ? root + path : path;
  // The token goes to nobody else, whatever a page's link says.
  if (!url.startsWith(`${root}/`)) throw fail("github.invalid", `GitHub's next page would be at ${new URL(url).host}.`);
  const response = await fetch(url, {
    method,
    redirect: "error",
    headers: {
      accept: "application/vnd.github+json",
      authorization: `Bearer ${token}`,
      "user-agent": "daimon",
      "x-github-api-version": "2022-11-28",
      ...(body ? { "content-type": "application/json" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.any([signal, AbortSignal.timeout(20_000)]),
  }).catch((error: Error) => {
    signal.throwIfAborted();
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    throw fail("github.unreachable", `GitHub cannot be reached: ${why}.`);
  });
  const text = await response.text();
  const at = new Date(response.headers.get("date") ?? "");
  const now = Number.isNaN(at.getTime()) ? new Date() : at;
  const limited = pauseOf(response, now);
  if (!response.ok && limited === null) throw refusal(response.status, text);
  return {
    data: response.ok && text ? JSON.parse(text.replace(BIG_ID, '"id":"$1"')) : null,
    at: now.toISOString(),
    next: /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1] ?? null,
    limited,
  };
}

/**
 * Seconds to wait when a limit was met, else null.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
function pauseOf({ status, headers }: Response, now: Date): number | null {
  if (status !== 403 && status !== 429) return null;
  const after = Number(headers.get("retry-after") ?? Number.NaN);
  const reset = Number(headers.get("x-ratelimit-reset") ?? Number.NaN) - now.getTime() / 1000;
  const spent = headers.get("x-ratelimit-remaining") === "0";
  const seconds = after >= 0 ? after : spent && !Number.isNaN(reset) ? reset : status === 429 ? 60 : null;
  return seconds === null ? null : Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_PAUSE);
}

function refusal(status: number, text: string): Error {
  const said = /"message":\s*"([^"]{1,200})/.exec(text)?.[1] ?? "no reason";
  const words = `GitHub answers ${status}: ${said}.`;
  if (status === 401) return fail("github-token.wrong", words, "Give GITHUB_TOKEN a token that is valid.");
  if (status === 403) return fail("github.denied", words, "Give GITHUB_TOKEN the permissions that the README names.");
  if (status === 404) return fail("github.missing", words, "Is it spelled right, and may GITHUB_TOKEN see it?");
  return status < 500 ? fail("github.invalid", words) : fail("github.failed", words);
}

const fail = (code: string, message: string, next?: string) => Object.assign(new Error(message), { code, next });
