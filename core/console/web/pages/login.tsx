import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ApiError, asApiError, LEFT, request } from "../api.ts";
import { Mark } from "../icons.tsx";
import { Command, Problem } from "../parts.tsx";
import { forgetAnswers } from "../query.ts";
import { go } from "../router.ts";

/** Signs in with the code of a one-time link, which is taken out of the address at once. */
export function Login() {
  const state = useSignal<"idle" | "busy">(location.hash.startsWith("#c=") ? "busy" : "idle");
  const error = useSignal<ApiError | null>(null);
  const signIn = () => {
    const code = new URLSearchParams(location.hash.slice(1)).get("c");
    if (!code) return;
    history.replaceState(null, "", "/login");
    state.value = "busy";
    error.value = null;
    request("POST", "/api/session", { code }).then(
      () => {
        forgetAnswers();
        go(localStorage.getItem(LEFT) ?? "/", { replace: true });
        localStorage.removeItem(LEFT);
      },
      (reason) => {
        error.value = asApiError(reason);
        state.value = "idle";
      },
    );
  };
  useEffect(() => {
    document.title = "Sign in · Daimon";
    signIn();
    addEventListener("hashchange", signIn);
    return () => removeEventListener("hashchange", signIn);
  }, []);
  return (
    <main class="login" id="main">
      <Mark size={44} />
      <h1>Daimon</h1>
      {state.value === "busy" ? (
        <p role="status">Signing you in …</p>
      ) : (
        <>
          {error.value && <Problem failure={error.value} />}
          <p>
            There is no password. On the machine where Daimon runs, make a link that works once, for ten minutes, and
            open it here:
          </p>
          <Command text="npx daimon login" />
          <p class="faint">
            Already signed in? <a href={localStorage.getItem(LEFT) ?? "/"}>Go on</a>
          </p>
        </>
      )}
    </main>
  );
}
