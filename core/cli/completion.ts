import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

const rootOf = (program: Command) => tab(program, { completionCommandName: "completion" });

/** Prints the script by which the shell asks `daimon complete --` for words. */
export const printScript = (program: Command, shell: string): void => rootOf(program).setup("daimon", "daimon", shell);

/** Prints the words that may come next, for that script. */
export const complete = (program: Command, words: string[]): void => rootOf(program).parse(words);
