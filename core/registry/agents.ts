import { basename } from "node:path";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { DaimonError } from "../base/errors.ts";
import type { Agent } from "../define/agent.ts";
import { splitNote } from "../hub/front-matter.ts";

const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const positive = z.number("must be a number").positive("must be more than 0");
const text = z.string("must be text").trim().min(1, "must not be empty");

const frontMatter = z.strictObject({
  name: z.unknown().optional(),
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

/** An agent from its Markdown, by the name of its file. Throws `capability.agent`, naming file and line. */
export function parseAgent(markdown: string, path: string): Agent {
  const own = basename(path, ".md");
  if (!NAME.test(own)) throw invalid(path, 1, "a file's name must be small letters, digits and single dashes");
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
  const { name = own, tools, limits, ...rest } = parsed.data;
  if (name !== own) throw invalid(path, lineOf("name"), `"name" must be that of the file, ${own}, or left out`);
  const instructions = body.trim();
  if (!instructions) throw invalid(path, line(front.length) + 1, "there are no instructions below the front matter");
  return {
    ...rest,
    name: own,
    limits: Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
    tools: tools === "*" ? ["*"] : tools,
    instructions,
  };
}

function invalid(path: string, line: number, what: string): DaimonError {
  return new DaimonError(
    "capability.agent",
    `${path}:${line}: ${what}.`,
    "The front matter holds name, description, model, tools and limits; the text below it is what the agent is told.",
  );
}
