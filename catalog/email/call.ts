/** One call of an API that speaks JSON. */
export interface Call {
  /** Who is called, as errors name it: `stripe`. */
  readonly api: string;
  readonly url: string | URL;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | URLSearchParams;
  readonly signal: AbortSignal;
  /** What it asks for must not be done twice: what may have been done throws `<api>.unknown`, and is not asked again. */
  readonly once?: boolean;
  /** What a person does when it is not let in. */
  readonly next: string;
}

const TRIES = 3;
/** Milliseconds. */
const TIMEOUT = 20_000;
const LONGEST_PAUSE = 10_000;

/**
 * The JSON that the API answers. Asks again when it is busy, as often as `TRIES`; then throws `<api>.busy` or
 * `<api>.unreachable`, and the run tries again later. `<api>.denied`, `.missing` and `.invalid` are for good.
 */
export async function callApi(call: Call): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const answer = await ask(call);
    if ("value" in answer) return answer.value;
    if (answer.pause === undefined || tries === TRIES) throw answer.error;
    await pause(answer.pause || 250 * 4 ** (tries - 1));
    call.signal.throwIfAborted();
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** `pause` in milliseconds, 0 when the API names none; without it no other try would help. */
type Answer = { readonly value: unknown } | { readonly error: Error; readonly pause?: number };

async function ask({ api, url, next, signal, once, ...request }: Call): Promise<Answer> {
  const error = (code: string, message: string) => Object.assign(new Error(message), { code: `${api}.${code}`, next });
  let status: number;
  let text: string;
  let after: string | null;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
    const response = await fetch(url, { ...request, redirect: "error", signal: patience });
    status = response.status;
    after = response.headers.get("retry-after");
    text = await response.text();
  } catch (cause) {
    signal.throwIfAborted();
    const { message, cause: reason } = cause as Error;
    const words = `${api} does not answer: ${reason ?? message}.`;
    return once ? { error: error("unknown", words) } : { error: error("unreachable", words), pause: 0 };
  }
  const said = text.slice(0, 200);
  if (status < 300) {
    try {
      return { value: JSON.parse(text || "null") };
    } catch {
      if (once) return { value: null };
      return { error: error("unreachable", `${api} answered ${status}, but no JSON: ${said}`), pause: 0 };
    }
  }
  const message = `${api} answered ${status}: ${said}`;
  const seconds = Number(after) || 0;
  if (once && status >= 500 && status !== 503) return { error: error("unknown", message) };
  if (status === 429 || status >= 500)
    return { error: error("busy", message), pause: Math.min(seconds * 1000, LONGEST_PAUSE) };
  if (status === 401 || status === 403) return { error: error("denied", message) };
  return { error: error(status === 404 || status === 410 ? "missing" : "invalid", message) };
}
