import { DaimonError } from "../base/errors.ts";
import type { Failure } from "../define/run.ts";
import type { ScopeLimit } from "../store/spend.ts";
import type { CallFailure } from "./call.ts";
import { keyMissing, type Target } from "./targets.ts";

/** A failure that can be thrown. */
export const asError = ({ code, message, next }: Failure) => new DaimonError(code, message, next);

const AGAIN = "It is tried a few times by itself."; // true before the last try and after it

const say = (code: string, message: string, next: string, options?: Pick<CallFailure, "retryAfter">) =>
  new DaimonError(code, message, next, options);

/** Why a call gave no answer, as a sentence with what to do next. Codes that another try may mend have no ending. */
export function callProblem(failure: CallFailure, target: Target): DaimonError {
  const said = failure.said.replace(/\s+/g, " ").trim();
  const who = new URL(target.baseUrl).host;
  const short = said.slice(0, 200).replace(/\.$/, "");
  switch (failure.why) {
    case "status":
      return statusProblem(failure, said, target);
    case "unsent":
      return say("model.invalid", `No request can be made of this: ${short}.`, "Retry the run from its beginning.");
    case "unreachable":
      return say("model.unreachable", `Nothing answers at ${who}: ${short}.`, `Is the network up? ${AGAIN}`);
    case "silent":
      return say("model.unreachable", `${who} took too long to answer.`, AGAIN);
    case "garbled":
      return say(
        "model.garbled",
        `The answer of ${who} cannot be read: ${short}.`,
        `Does it speak the protocol of ${target.choice.provider}? ${AGAIN}`,
      );
    default:
      return say(
        /overloaded|rate limit/i.test(said) ? "model.overloaded" : "model.cut",
        `The answer of ${who} broke off: ${short}.`,
        AGAIN,
      );
  }
}

function statusProblem({ status = 0, retryAfter }: CallFailure, said: string, target: Target): DaimonError {
  const { role, choice, keyName, key, envFile } = target;
  const who = new URL(target.baseUrl).host;
  const because = `(${status}: ${said})`;
  if (status === 402 || /credit balance|billing/i.test(said)) {
    return say(
      "model.invalid",
      `${who} wants to be paid first ${because}.`,
      "Look at the account there: it has no credit.",
    );
  }
  if (status === 401 && key === undefined) return asError(keyMissing(target));
  if (status === 403) {
    return say("model.denied", `${who} does not allow this ${because}.`, "Look there at what the account may do.");
  }
  if (status === 401) {
    return say(
      "model-key.wrong",
      `${who} does not take the key in ${keyName} ${because}.`,
      `Put the right ${keyName}=… in ${envFile} and start again.`,
    );
  }
  if (status === 404) {
    return say(
      "model.unknown",
      `${who} knows no model ${choice.model} ${because}.`,
      `Set models.${role}.model in daimon.config.ts to one it knows.`,
    );
  }
  if (status === 429 || status === 503 || status === 529) {
    return say("model.overloaded", `${who} has no room now ${because}.`, AGAIN, { retryAfter });
  }
  if (status === 408 || status === 409 || status >= 500) {
    return say("model.failed", `${who} failed ${because}.`, AGAIN, { retryAfter });
  }
  return say("model.invalid", `${who} refuses the request ${because}.`, `Look at models.${role} in daimon.config.ts.`);
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
