import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Command, Option } from "commander";
import { ROOT } from "../base/environment.ts";
import { EXIT } from "./exit.ts";
import { examplesOf, subcommandTerm } from "./help.ts";
import { addCompletion, buildProgram } from "./tree.ts";

const FILE = join(ROOT, "docs/reference/cli.md");

const OPENING = `# The command line

Written from the commands themselves: \`DAIMON_WRITE=1 npx node --test core/cli/reference.test.ts\`.

In this folder \`daimon\` is \`npx daimon\`; after \`npm link\` it is so everywhere.

Nouns, then verbs. Data goes to stdout, words to stderr; \`--json\` prints the API's answer ([api.md](api.md)), and then
errors are JSON too, on stderr: \`{"error": {"code", "message", "next"}}\`. Colours only on a terminal, and never with
\`NO_COLOR\`. Where an id is asked for, \`latest\` is the newest (but not to answer an approval). Times are in the owner's zone.

The server is found by \`<home>/server.json\`, which it writes while it runs; \`DAIMON_URL\` and \`DAIMON_TOKEN\` name another.
\`start\`, \`init\`, \`doctor\`, \`add\`, \`remove\`, \`list\`, \`skills\`, \`logs\` and \`completion\` work without it, on the files of this machine.
`;

const EXITS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "done",
  failed: "failed",
  usage: "wrong use",
  missing: "not found",
  login: "not signed in, or the token may not",
  run: "the run waited for failed or was canceled",
  doctor: "doctor found a problem",
  interrupted: "Ctrl-C",
};

function reference(program: Command): string {
  const exits = Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXITS[name as keyof typeof EXIT]} |`);
  const sections = program.commands
    .filter((command) => command.name() !== "complete")
    .flatMap((command) => {
      const nested = command.commands.flatMap((inner) =>
        section(inner, `${command.name()} ${subcommandTerm(inner)}`, "###"),
      );
      return [...section(command, subcommandTerm(command), "##"), ...nested];
    });
  return [OPENING, "| Exit code | |", "| --- | --- |", ...exits, "", ...sections].join("\n");
}

function section(command: Command, usage: string, level: string): string[] {
  const examples = command.commands.length > 0 ? [] : ["```sh", ...examplesOf(command), "```", ""];
  const options = command.options.map((option) => `| \`${option.flags}\` | ${toWords(option)} |`);
  const table = options.length > 0 ? ["| Option | |", "| --- | --- |", ...options, ""] : [];
  return [`${level} \`daimon ${usage}\``, "", `${command.description()}.`, "", ...examples, ...table];
}

function toWords({ description, argChoices, defaultValue }: Option): string {
  const choices = argChoices ? ` (${argChoices.join(", ")})` : "";
  return `${description}${choices}${defaultValue === undefined ? "" : `; default ${defaultValue}`}`;
}

test("docs/reference/cli.md tells what the command line is", () => {
  const main = { start: async () => {} };
  const written = reference(addCompletion(buildProgram(main), main));
  if (process.env.DAIMON_WRITE) writeFileSync(FILE, written);
  assert.equal(
    readFileSync(FILE, "utf8"),
    written,
    "Write it again: DAIMON_WRITE=1 npx node --test core/cli/reference.test.ts",
  );
});
