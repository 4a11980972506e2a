import { runCli } from "./cli/cli.ts";

// The house is loaded only when it is started: every other command is a client of it.
process.exitCode = await runCli(process.argv.slice(2), {
  start: async (options) => (await import("./house/start.ts")).start(options),
});
