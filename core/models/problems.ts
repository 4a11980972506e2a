import { DaimonError } from "../base/errors.ts";
import type { ScopeLimit } from "../store/spend.ts";
import type { CallFailure, Patience } from "./call.ts";
import { keyMissing, type Target } from "./targets.ts";

/** Why a call gave no answer, as a sentence with what to do next. Codes that another try may mend have no ending. */
export function callProblem(failure: CallFailure, target: Target, patience: Patience): DaimonError {
  const { role, choice } = target;
  const who = new URL(target.baseUrl).host;
  const address =
    choice.provider === "openai-compatible" || choice.baseUrl ? `models.${role}.baseUrl` : "the address";
  switch (failure.why) {
    case "status":
      return statusProblem(failure.status ?? 0, failure.said, target);
    case "unreachable":
      return new DaimonError(
        "model.unreachable",
        `Nothing answers at ${who}: ${failure.said}.`,
        `Is the network up, and is ${address} right? It is tried again by itself.`,
      );
    case "silent":
      return new DaimonError(
        "model.unreachable",
        `${who} said nothing for ${Math.round(patience.silence / 1000)} s.`,
        "It is tried again by itself.",
      );
    case "garbled":
      return new DaimonError(
        "model.garbled",
        `The answer of ${who} cannot be read: ${failure.said.slice(0, 200)}`,
        `Does ${who} speak the protocol of ${choice.provider}? It is tried again by itself.`,
      );
    default:
      return new DaimonError(
        /overloaded/i.test(failure.said) ? "model.overloaded" : "model.cut",
        `The answer of ${who} broke off${failure.said ? `: ${failure.said.slice(0, 200)}` : "."}`,
        "It is tried again by itself.",
      );
  }
}

function statusProblem(status: number, said: string, target: Target): DaimonError {
  const { role, choice, keyName, key, envFile } = target;
  const who = new URL(target.baseUrl).host;
  if (status === 401 && key === undefined) {
    const { code, message, next } = keyMissing(target);
    return new DaimonError(code, message, next);
  }
  if (status === 401 || status === 403) {
    return new DaimonError(
      "model-key.wrong",
      `${who} does not take the key in ${keyName ?? "the request"} (${status}: ${said}).`,
      `Put the right ${keyName ?? "key"}=… in ${envFile} and start again.`,
    );
  }
  if (status === 404) {
    return new DaimonError(
      "model.unknown",
      `${who} knows no model ${choice.model} (404: ${said}).`,
      `Set models.${role}.model in daimon.config.ts to one it knows.`,
    );
  }
  if (status === 429 || status === 503 || status === 529) {
    return new DaimonError(
      "model.overloaded",
      `${who} has no room now (${status}: ${said}).`,
      "It is tried again by itself.",
    );
  }
  if (status === 408 || status === 409 || status >= 500) {
    return new DaimonError(
      "model.failed",
      `${who} failed (${status}: ${said}).`,
      "It is tried again by itself.",
    );
  }
  return new DaimonError(
    "model.invalid",
    `${who} refuses the request (${status}: ${said}).`,
    status === 402 || /credit|billing|quota/i.test(said)
      ? `Look at the account of ${choice.provider}: it may have no credit.`
      : `Look at models.${role} in daimon.config.ts.`,
  );
}

/** "No money is left for this call", with the limit that says so. */
export function limitProblem(refused: ScopeLimit & { usedUsd: number }, usd: number): DaimonError {
  const [kind, name] = refused.scope.split(":") as ["run" | "day" | "month", string];
  const whose = { run: "this run", day: `the day ${name}`, month: `the month ${name}` }[kind];
  const where = { run: "limits.run.usd", day: "limits.dayUsd", month: "limits.monthUsd" }[kind];
  return new DaimonError(
    "limit.usd",
    `The limit of ${whose} is ${dollars(refused.limitUsd)}; ${dollars(refused.usedUsd)} is spent or held, and the next model call may cost ${dollars(usd)}.`,
    `Raise ${where} in daimon.config.ts${kind === "run" ? ", or the limit of the agent" : ", or wait until it is over"}.`,
  );
}

/** "Nobody knows what this model costs", with where to say it. */
export function priceUnknown(target: Target): DaimonError {
  return new DaimonError(
    "price.unknown",
    `The price of ${target.choice.model} (${target.choice.provider}) is not known, so no limit could be kept.`,
    `Set models.${target.role}.price in daimon.config.ts, in US dollars per million tokens: { input: 0, output: 0 } for a model that costs nothing.`,
  );
}

/** `$0.0123`: two digits that mean something, at least cents. */
function dollars(usd: number): string {
  return `$${usd === 0 || usd >= 0.1 ? usd.toFixed(2) : usd.toPrecision(2)}`;
}
