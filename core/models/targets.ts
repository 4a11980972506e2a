import type { Environment } from "../base/environment.ts";
import type { Config, ModelChoice } from "../define/config.ts";
import type { Failure } from "../define/run.ts";

/** Where the calls of one role go. */
export interface Target {
  readonly role: string;
  readonly choice: ModelChoice;
  /** True when the demo model answers. */
  readonly demo: boolean;
  /** With `/v1`; empty for the demo, whose address is known once it runs. */
  readonly baseUrl: string;
  /** The name under which the key stands in the environment. */
  readonly keyName: string | undefined;
  readonly key: string | undefined;
  /** Where keys are put: shown in errors. */
  readonly envFile: string;
  /** Why no call can be made, when that is plain before the first. */
  readonly problem?: Failure;
}

const MAKERS = {
  anthropic: {
    keyName: "ANTHROPIC_API_KEY",
    urlName: "ANTHROPIC_BASE_URL",
    url: "https://api.anthropic.com/v1",
  },
  openai: { keyName: "OPENAI_API_KEY", urlName: "OPENAI_BASE_URL", url: "https://api.openai.com/v1" },
} as const;

/**
 * One target for each role. The demo model answers only where there is no model at all: no role has a key or an
 * address of its own. Once one has, a role whose key is missing says so; it is never answered by the demo.
 */
export function findTargets(config: Config, environment: Environment): Target[] {
  const { envFile } = environment;
  const found = Object.entries(config.models).map(([role, choice]) => {
    const maker = choice.provider in MAKERS ? MAKERS[choice.provider as keyof typeof MAKERS] : undefined;
    const keyName = choice.key ?? maker?.keyName;
    const key = keyName ? environment.values[keyName]?.trim() || undefined : undefined;
    const ownUrl = choice.baseUrl ?? (maker ? environment.values[maker.urlName]?.trim() : undefined);
    return { role, choice, keyName, key, ownUrl: ownUrl || undefined, usual: maker?.url ?? "", envFile };
  });
  const real = found.some((each) => each.choice.provider !== "demo" && (each.key || each.ownUrl));
  return found.map(({ ownUrl, usual, ...each }) => {
    if (each.choice.provider === "demo") return { ...each, demo: true, baseUrl: "" };
    const baseUrl = ownUrl ? withVersion(ownUrl, each.choice.provider) : usual;
    const problem = problemOf(each, baseUrl, ownUrl !== undefined);
    if (!real && problem?.code === "model-key.missing") return { ...each, demo: true, baseUrl: "" };
    return { ...each, demo: false, baseUrl: baseUrl ?? "", ...(problem ? { problem } : {}) };
  });
}

/**
 * Anthropic's own SDK wants the address without `/v1`, this library with it; both are taken. OpenAI's wants it as
 * it is; only a bare host gets `/v1`. `null`: it is no address.
 */
function withVersion(text: string, provider: ModelChoice["provider"]): string | null {
  if (!URL.canParse(text) || !/^https?:/.test(text)) return null;
  const url = text.replace(/\/+$/, "");
  const { pathname } = new URL(url);
  const whole = provider === "anthropic" ? /\/v\d+$/.test(pathname) : pathname !== "/";
  return whole ? url : `${url}/v1`;
}

function problemOf(
  target: Pick<Target, "role" | "choice" | "keyName" | "key" | "envFile">,
  baseUrl: string | null,
  elsewhere: boolean,
): Failure | undefined {
  const { role, choice, keyName, key } = target;
  if (!baseUrl) {
    return {
      code: "model.invalid",
      message: `The model role ${role} has no address that can be used.`,
      next: `Set models.${role}.baseUrl in daimon.config.ts, like http://127.0.0.1:11434/v1.`,
    };
  }
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
    return {
      code: "model-key.wrong",
      message: `${keyName} holds a blank or a sign that no key has.`,
      next: `Put ${keyName}=… in ${target.envFile} again and start again.`,
    };
  }
  const needed = choice.provider !== "openai-compatible" && !elsewhere;
  if (key === undefined && (needed || choice.key)) return keyMissing(target);
}

/** "There is no key", with what to do. */
export function keyMissing(target: Pick<Target, "role" | "choice" | "keyName" | "envFile">): Failure {
  const { role, choice, keyName, envFile } = target;
  const name = keyName ?? "MODEL_KEY";
  const first = keyName ? "" : `Set models.${role}.key to "${name}" in daimon.config.ts. `;
  return {
    code: "model-key.missing",
    message: `The model role ${role} (${choice.provider}, ${choice.model}) needs a key${keyName ? `, and ${name} is not set` : ""}.`,
    next: `${first}Put ${name}=… in ${envFile} and start again.`,
  };
}
