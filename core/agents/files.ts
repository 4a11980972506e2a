import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Agent } from "../define/agent.ts";
import type { Failure } from "../define/run.ts";
import { splitNote } from "../hub/front-matter.ts";

/** The agent that answers in chat when no other is named. */
export const DEFAULT_AGENT = join(import.meta.dirname, "default.md");

const name = z
  .string("must be text")
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be small letters, digits and single dashes, like "research"');
const positive = z.number("must be a number").positive("must be more than 0");
const text = z.string("must be text").trim().min(1, "must not be empty");

const frontMatter = z.strictObject({
  name: name.optional(),
  description: text,
  model: text.default("light"),
  tools: z
    .union([z.literal("*"), z.array(z.string().regex(/^[a-zA-Z0-9_]{1,64}$/))], 'must be a list of tool names, or "*"')
    .default([]),
  limits: z
    .strictObject(
      { turns: positive.int("must be a whole number"), usd: positive, minutes: positive },
      "must be turns, usd and minutes",
    )
    .partial()
    .default({}),
});

/** An agent from its Markdown. Throws `agent.invalid`, naming file and line. */
export function parseAgent(markdown: string, path: string): Agent {
  const { matter: front, body } = splitNote(markdown);
  if (front === null) throw invalid(path, 1, "it does not begin with a front matter between two lines of ---");
  const counter = new LineCounter();
  const document = parseDocument(front, { lineCounter: counter });
  const line = (offset: number) => counter.linePos(offset).line + 1;
  const [problem] = document.errors;
  if (problem) throw invalid(path, line(problem.pos[0]), problem.message.split("\n")[0]!.replace(/ at line.*$/, ""));

  const lineOf = (name: PropertyKey | undefined) => {
    const keys = isMap(document.contents) ? document.contents.items.map((pair) => pair.key) : [];
    const key = keys.find((one) => isScalar(one) && one.value === name);
    return isScalar(key) && key.range ? line(key.range[0]) : 1;
  };
  const parsed = frontMatter.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const keys = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
    const what = issue.code === "unrecognized_keys" ? "is not known" : issue.message;
    const missing = !document.hasIn(keys);
    throw invalid(path, lineOf(keys[0]), `"${keys.join(".")}" ${missing ? "is missing" : what}`);
  }
  const instructions = body.trim();
  if (!instructions) throw invalid(path, line(front.length) + 1, "there are no instructions below the front matter");
  const { tools, ...rest } = parsed.data;
  return {
    ...rest,
    name: rest.name ?? basename(path, ".md"),
    limits: Object.fromEntries(Object.entries(rest.limits).filter(([, value]) => value !== undefined)),
    tools: tools === "*" ? ["*"] : tools,
    instructions,
    path,
  };
}

/** Reads agents; one that cannot be read, or whose name is taken by an earlier one, is told of and left out. */
export async function readAgents(
  paths: readonly string[],
): Promise<{ agents: Agent[]; problems: { path: string; problem: Failure }[] }> {
  const agents: Agent[] = [];
  const problems: { path: string; problem: Failure }[] = [];
  for (const path of paths) {
    try {
      const agent = parseAgent(await readFile(path, "utf8"), path);
      const twin = agents.find((other) => other.name === agent.name);
      if (twin) throw invalid(path, 1, `the name "${agent.name}" is taken by ${twin.path}`);
      agents.push(agent);
    } catch (error) {
      problems.push({ path, problem: toFailure(error) });
    }
  }
  return { agents, problems };
}

function invalid(path: string, line: number, what: string): DaimonError {
  return new DaimonError(
    "agent.invalid",
    `${path}:${line}: ${what}.`,
    "The front matter holds name, description, model, tools and limits; the text below it is what the agent is told.",
  );
}
