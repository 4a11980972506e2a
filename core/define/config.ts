import type { Limits } from "./limits.ts";
import type { Webhook } from "./webhook.ts";

/** One model, named by role. */
export interface ModelChoice {
  /** `openai-compatible` needs `baseUrl`: Ollama, OpenRouter, vLLM, … */
  readonly provider: "anthropic" | "openai" | "openai-compatible" | "demo";
  readonly model: string;
  readonly baseUrl?: string;
  /** The name of the secret that holds the key. Default: the provider's own (`ANTHROPIC_API_KEY`, …). */
  readonly key?: string;
  /** US dollars per million tokens, for a model whose price is not known. */
  readonly price?: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead?: number;
    readonly cacheWrite?: number;
  };
  /** Most tokens of one answer. Default 4096. */
  readonly maxOutputTokens?: number;
}

/** `daimon.config.ts`: what is yours and not a secret. */
export interface Config {
  readonly owner: { readonly name: string /** IANA zone; default: the machine's. */; readonly zone?: string };
  /** Roles. An agent names one; `light` and `heavy` must be there. */
  readonly models: Readonly<Record<string, ModelChoice>>;
  readonly limits: {
    /** Of each run, unless it says otherwise. */
    readonly run: Required<Limits>;
    /** Of each day in the owner's zone, all runs together, in US dollars. */
    readonly dayUsd: number;
    readonly monthUsd: number;
  };
  /** Address under which the world reaches us, when we stand behind a proxy: `https://daimon.example`. */
  readonly publicUrl?: string;
  /** Runs at a time in one worker. Default 100. */
  readonly concurrency?: number;
  /** By a source's name; what stands here goes before what its capability says. */
  readonly sources?: Readonly<Record<string, { readonly expectEvery?: string }>>;
}

/** How often a source is expected to be heard from: what the owner says, else its capability; undefined: nobody says. */
export function expectedEvery({ source, expectEvery }: Webhook, config: Config): string | undefined {
  return config.sources?.[source]?.expectEvery ?? expectEvery;
}
