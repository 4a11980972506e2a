import { defineConfig } from "daimon";

/** Yours to change. Keys do not belong here: they stand in `home/.env` or the environment. */
export default defineConfig({
  owner: { name: "you" },
  models: {
    light: { provider: "anthropic", model: "claude-haiku-4-5" },
    heavy: { provider: "anthropic", model: "claude-sonnet-5" },
  },
  limits: {
    run: { turns: 20, usd: 0.5, minutes: 15 },
    dayUsd: 5,
    monthUsd: 50,
  },
});
