import { runCli } from "./cli/cli.ts";

// The house is loaded only when it is started: every other command is a client of it.
process.exitCode = await runCli(process.argv.slice(2), {
  start: async (options) => (await import("./house/start.ts")).start(options),
});

// A start that failed half way leaves nothing behind that would hold the process: whoever watches it starts it again.
if (process.argv[2] === "start" && process.exitCode !== 0) process.exit();
