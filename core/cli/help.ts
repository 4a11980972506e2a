import { type Command, Help } from "commander";

const EXAMPLES = new WeakMap<Command, readonly string[]>();

/** Keeps the examples that a command's help is led by. */
export function setExamples(command: Command, examples: readonly string[]): Command {
  EXAMPLES.set(command, examples);
  return command;
}

export const examplesOf = (command: Command): readonly string[] =>
  EXAMPLES.get(command) ?? command.commands.flatMap((inner) => EXAMPLES.get(inner)?.[0] ?? []);

/** Help led by what it does and by examples; usage and options follow. */
export function formatHelp(command: Command, helper: Help): string {
  const rest: Help = Object.create(helper, { commandDescription: { value: () => "" } });
  const examples = examplesOf(command).map((example) => `  ${helper.styleCommandText(example)}`);
  return [
    helper.boxWrap(command.description(), helper.helpWidth ?? 80),
    "",
    ...(examples.length > 0 ? [helper.styleTitle("Examples:"), ...examples, ""] : []),
    Help.prototype.formatHelp.call(rest, command, rest),
  ].join("\n");
}

/** `show <id>`: what a list of commands calls one. */
export const subcommandTerm = (command: Command): string =>
  new Help().subcommandTerm(command).replace(" [options]", "");
