import { runCli } from "./cli/cli.ts";
import { start } from "./house/start.ts";

process.exitCode = await runCli(process.argv.slice(2), { start });
