import { type Command, CommanderError } from "commander";
import { DaimonError } from "../base/errors.ts";
import { CliError, EXIT } from "./exit.ts";
import { clean, paint } from "./terminal.ts";
import { addCompletion, buildProgram, type CliMain } from "./tree.ts";

/** Runs one command line (without node and the script), and returns what the process is to exit with. Never throws. */
export async function runCli(argv: string[], main: CliMain): Promise<number> {
  process.stdout.on("error", quietWhenClosed);
  process.stderr.on("error", quietWhenClosed);
  const program = buildProgram(main);
  addCompletion(program, main);
  if (argv[0] !== "start") process.on("SIGINT", () => process.exit(EXIT.interrupted));
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv[0] === "help" ? asHelp(argv.slice(1), program) : argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const path = namedBy(argv, program).map((command) => command.name());
    const told = error instanceof CommanderError ? usageError(error, `${path.join(" ")} --help`) : error;
    if (told) tell(told, argv.includes("--json"));
    return told ? exitOf(told) : EXIT.usage;
  }
}

function exitOf(error: unknown): number {
  if (error instanceof CliError) return error.exit;
  return error instanceof DaimonError && error.code.endsWith(".unknown") ? EXIT.missing : EXIT.failed;
}

/** Whoever read our output has gone (`daimon events list | head -1`): that is no error. */
function quietWhenClosed(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  throw error;
}

/** Commander's words in our shape; null when it has shown the help instead. */
function usageError(error: CommanderError, help: string): CliError | null {
  if (error.code === "commander.help") return null;
  const [message, hint] = error.message.replace(/^error: /, "").split("\n");
  const sentence = `${message!.charAt(0).toUpperCase()}${message!.slice(1).replace(/\.?$/, ".")}`;
  return new CliError(EXIT.usage, "cli.usage", sentence, hint?.replace(/^\((.*)\)$/, "$1") ?? help);
}

/** The commands that these words name, from `daimon` to the innermost. */
function namedBy(words: readonly string[], program: Command): Command[] {
  const path = [program];
  for (const word of words) {
    const inner = path.at(-1)!.commands.find((one) => one.name() === word);
    if (!inner) break;
    path.push(inner);
  }
  return path;
}

/** `help runs show` is `runs show --help`. A word that names nothing is left as the last, to be told of. */
function asHelp(words: readonly string[], program: Command): readonly string[] {
  const path = namedBy(words, program);
  const unknown = path.at(-1)!.commands.length > 0 && words.length >= path.length;
  return unknown ? words.slice(0, path.length) : [...words, "--help"];
}

/** What, why and next, on stderr. What nobody meant a person to see is told with where it was thrown. */
function tell(error: unknown, json: boolean): void {
  const stack = error instanceof Error && error.stack ? error.stack : String(error);
  const { code, message, next } = error instanceof DaimonError ? error : new DaimonError("cli.failed", stack);
  if (json) return void process.stderr.write(`${JSON.stringify({ error: { code, message, next } })}\n`);
  process.stderr.write(`${paint("red", clean(message), process.stderr)}\n`);
  if (next) process.stderr.write(`Next: ${clean(next)}\n`);
}
