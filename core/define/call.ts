/** A request to an API that speaks JSON. */
export interface ApiCall {
  /** Who is asked, as errors name it: `stripe`. */
  readonly api: string;
  readonly url: string | URL;
  /** Default: `POST` with something to send, else `GET`. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent: a form, or anything else as JSON. */
  readonly body?: URLSearchParams | object;
  /** It must not be done twice: where it may have been done it throws `<api>.unknown`, and a person decides. */
  readonly once?: boolean;
  readonly signal: AbortSignal;
  /** What a person does when it is refused. */
  readonly next: string;
}

const PATIENCE_MILLISECONDS = 20_000;

/**
 * What an API answers, `null` when that is empty. It asks once: a run that fails by `<api>.unreachable` or `<api>.busy` is
 * tried again, not before the API's Retry-After; `<api>.denied`, `.missing` and `.invalid` are for good.
 */
export async function callApi(call: ApiCall): Promise<unknown> {
  const { api, url, headers, body, method = body ? "POST" : "GET", once, signal, next } = call;
  const failure = (code: string, message: string, retryAfter?: number) =>
    Object.assign(new Error(message), { code: `${api}.${code}`, next, retryAfter });
  const isForm = body instanceof URLSearchParams;
  const type = body && !isForm ? { "content-type": "application/json" } : {};
  const { response, text } = await fetch(url, {
    method,
    headers: { accept: "application/json", ...type, ...headers },
    ...(body ? { body: isForm ? body : JSON.stringify(body) } : {}),
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MILLISECONDS)]),
  })
    .then(async (response) => ({ response, text: await response.text() }))
    .catch(({ message, cause }: Error) => {
      signal.throwIfAborted();
      throw failure(once ? "unknown" : "unreachable", `${api} does not answer: ${cause ?? message}.`);
    });
  const { status } = response;
  const said = `${api} answered ${status}: ${text.slice(0, 200)}`;
  if (response.ok) {
    try {
      return JSON.parse(text || "null");
    } catch {
      if (once) return null;
      throw failure("unreachable", `${said} (that is no JSON)`);
    }
  }
  if (once && status >= 500 && status !== 503) throw failure("unknown", said);
  if (status === 429 || status >= 500)
    throw failure("busy", said, Number(response.headers.get("retry-after")) || undefined);
  if (status === 401 || status === 403) throw failure("denied", said);
  throw failure(status === 404 || status === 410 ? "missing" : "invalid", said);
}
