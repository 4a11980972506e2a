import { type Brain, type ModelServerRequest, type Reply, textOf } from "./server.ts";

/** What the brain goes by: the question, and what its tool calls since then came to. */
/** Under which name a real model's key is put, and where. */
interface KeyHint {
  readonly keyName: string;
  readonly envFile: string;
}

interface Turn extends KeyHint {
  readonly question: string;
  readonly done: readonly Done[];
  readonly tools: ModelServerRequest["tools"];
}

interface Done {
  readonly name: string;
  readonly input: Record<string, unknown>;
  /** The result. */
  readonly text: string;
  readonly failed: boolean;
}

interface Rule {
  readonly when: RegExp;
  readonly answer: (turn: Turn, words: RegExpExecArray) => Reply;
}

/** The first that fits answers. */
const RULES: readonly Rule[] = [
  { when: /^Triage issue\b/, answer: triage },
  {
    when: /^(?:please )?(?:save|note|keep|capture)(?: down)?(?: (?:this|an|the|my|new))*(?: (?:idea|note|thought))? ?[:,–-]\s*(.+)$/is,
    answer: saveIdea,
  },
  { when: /^(?:please )?(delete|remove|forget|drop|announce|publish|post)\b[\s:]*(.+)$/is, answer: act },
  {
    when: /^(?:please )?(?:run|fire|start)\b.*?\b(?:trigger|schedule)\b[\s:]*["'`]?([\w/.-]*)/is,
    answer: runTrigger,
  },
  {
    when: /^(?:please )?remind me (?:to (?<what>.+?) )?(?<when>(?:in|at|on|today|tomorrow|every|next|the day)\b.+?)(?: to (?<then>.+))?[.!]?$/is,
    answer: remind,
  },
  {
    when: /^(?:what do (?:you|i|we) know (?:about|of)|search(?: the hub)?(?: for)?|find|look up|tell me about|ask:?)\s+(.+)$/is,
    answer: lookUp,
  },
  { when: /\b(?:competitors?|report)\b/i, answer: report },
  { when: /\b(?:events?|what (?:has )?(?:happened|came in)|what is new|what's new)\b/i, answer: events },
  {
    when: /^(?:hi|hello|hey|hallo|hola|salut|good (?:morning|afternoon|evening|day))\b[^?]{0,40}$/i,
    answer: greet,
  },
  { when: /^(?:thanks|thank you|thx|danke)\b/i, answer: () => ({ text: "You are welcome." }) },
  { when: /^(?:help\b|what can you do|who are you|what are you)/i, answer: help },
  { when: /^(.+)\?\s*$/s, answer: lookUp },
  { when: /^((?:who|what|when|where|why|how|which)\b.+)$/is, answer: lookUp },
];

/** Whole answers take at most about this long, in milliseconds. */
const LONGEST = 3000;

/**
 * The demo model's brain: rules, the same answer to the same request, no model. Like a model it knows only what
 * it is sent: the messages and the tools. It obeys the owner's question alone, never a tool's result.
 */
export function createDemoBrain(hint: KeyHint): Brain {
  return (request) => {
    const turn = readTurn(request, hint);
    const failed = turn.done.find((each) => each.failed);
    const reply = failed ? { text: `It did not work: ${failed.text}` } : decide(turn);
    const words = reply.text?.split(/\s+/).length ?? 1;
    return { ...reply, pace: Math.min(15, LONGEST / words) };
  };
}

function decide(turn: Turn): Reply {
  for (const rule of RULES) {
    const words = rule.when.exec(turn.question);
    if (words) return rule.answer(turn, words);
  }
  return { text: `I am the demo, with rules instead of a model, and have none for that. ${ABILITIES}` };
}

const ABILITIES =
  'Try "save idea: a video on webhooks", "what do you know about our competitors?", "list events" or "write the competitor report".';

function greet({ keyName, envFile }: Turn): Reply {
  return {
    text: `Hi! I am Daimon, and this is the demo: no model stands behind me yet, so I answer by a few rules. ${ABILITIES} With ${keyName}=… in ${envFile} and a restart, a real model answers here.`,
  };
}

function help({ tools, keyName, envFile }: Turn): Reply {
  const names = tools.map((each) => each.name).join(", ");
  return {
    text: `I am Daimon's demo: rules, no model. ${ABILITIES}${names ? ` My tools are ${names}.` : ""} Put ${keyName}=… in ${envFile} and start again for a real model.`,
  };
}

function saveIdea(turn: Turn, [, idea = ""]: RegExpExecArray): Reply {
  const title = idea.trim().split(/[.\n]/)[0]!.slice(0, 80);
  return once(turn, /^(?:save|add|note)_/, { title, text: idea.trim() }, ({ text }) => {
    const path = pathIn(text);
    return path ? `Saved in ${path}.` : `Saved: ${text}`;
  });
}

/** What needs a person's yes, when a tool for it is there. A file that is not named by its path is searched first. */
function act(turn: Turn, [, verb = "", subject = ""]: RegExpExecArray): Reply {
  const away = /schedule|reminder/i.test(subject) ? /^delete_schedule$/ : /(?:delete|remove|forget|drop)(?!_schedule)/;
  const same = /delete|remove|forget|drop/i.test(verb) ? away : /announce|publish|post|send/;
  const target = toolLike(turn, same);
  const what = subject.trim().replace(/^(?:the |my )*(?:idea|note)s?(?: (?:about|on))?[\s:]*/i, "");
  const search = toolLike(turn, /^hub_search$/);
  const byPath = target && "path" in propertiesOf(target) && !/[/]|\.md$/.test(what);
  const found = turn.done.find((each) => each.name === search?.name);
  if (byPath && search && !found) return { toolCalls: [{ name: search.name, input: fill(search, { query: what }) }] };
  const fits = new RegExp(target ? (propertiesOf(target).path?.pattern ?? "") : "");
  const path = found ? hitsOf(found.text).find((hit) => fits.test(hit.path))?.path : what;
  if (byPath && found && !path) return { text: `I found nothing about ${what} in the hub, so nothing was done.` };
  return once(
    turn,
    same,
    { path, title: what, text: what, query: what, name: what.replace(/^.*\b(?:schedule|reminder)\b[\s:]*/i, "") },
    ({ text }) => `Done: ${pathIn(text) ?? text}.`,
  );
}

function runTrigger(turn: Turn, [, name = ""]: RegExpExecArray): Reply {
  return once(turn, /^run_trigger$/, { name, trigger: name, handler: name }, ({ text }) => `Started ${name}: ${text}`);
}

/** The kind by a few words of the issue; all else a model would have to read it for. */
function triage({ question }: Turn): Reply {
  const kind = /\b(?:error|bug|crash|broken|fails?)\b/i.test(question) ? "bug" : "other";
  return { text: `Kind: ${kind}\nUrgency: normal\nWhy: The demo looks for words such as "error".\nAnswer: none` };
}

function remind(turn: Turn, { groups: { what, when, then } = {} }: RegExpExecArray): Reply {
  const values = { when, text: then ?? what ?? "What you asked for", remind: true };
  return once(turn, /^create_schedule$/, values, ({ text }) => text);
}

function events(turn: Turn): Reply {
  return once(turn, /^list_events$/, {}, ({ text }) => {
    if (/^(?:No events\.|\[\]|)$/.test(text)) return "No event has come in yet.";
    const lines = text.split("\n").slice(0, 10);
    return `The last events:\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
  });
}

function lookUp(turn: Turn, [, subject = ""]: RegExpExecArray): Reply {
  const query = subject
    .trim()
    .replace(/[?.!]+$/, "")
    .replace(/\s*\(.*\)$/s, "")
    .replace(/^(?:me|myself|us)$/i, "owner");
  return once(turn, /^hub_search$/, { query }, ({ text }) => {
    const hits = hitsOf(text).slice(0, 3);
    if (hits.length === 0) return `I found nothing in the hub about "${query}".`;
    const quotes = hits.map((hit) => `> ${quote(hit.text, 240)}\n\nfrom ${hit.path}:${hit.lines}`);
    return `This stands in the hub about "${query}":\n\n${quotes.join("\n\n")}`;
  });
}

/** Out of the findings that the question brings; without any, out of what a search and the best two files say. */
function report(turn: Turn): Reply {
  const findings = [...turn.question.matchAll(/^Findings on (.+?):\n(.*?)(?=\n\nFindings on |$(?!.))/gms)];
  if (findings.length > 0) return { text: reportOf(findings.map(([, name = "", text = ""]) => ({ name, text }))) };

  const search = toolLike(turn, /^hub_search$/);
  const read = toolLike(turn, /^hub_read$/);
  const found = turn.done.find((each) => each.name === search?.name);
  if (search && !found) return { toolCalls: [{ name: search.name, input: fill(search, { query: "competitors" }) }] };
  const hits = hitsOf(found?.text ?? "");
  const paths = [...new Set(hits.map((hit) => hit.path))].slice(0, 2);
  const files = turn.done.filter((each) => each.name === read?.name);
  if (read && files.length === 0 && paths.length > 0) {
    return { toolCalls: paths.map((path) => ({ name: read.name, input: fill(read, { path }) })) };
  }
  const sources = files.map(({ input, text }) => ({ name: String(input.path), text: `> ${quote(text, 300)}` }));
  return { text: `# Competitor report\n\n${reportOf(sources)}` };
}

function reportOf(findings: readonly { name: string; text: string }[]): string {
  const unknown = findings.filter(({ text }) => /^I found nothing/.test(text));
  const known = findings.length - unknown.length;
  const sections = findings.map(({ name, text }) => `## ${name}\n\n${text.replace(/^This stands in .*\n+/, "")}`);
  const open = unknown.map(({ name }) => `- Note what ${name} sells, what it costs and what it did last.`);
  return [
    `The demo model wrote this: it copies what the hub says and judges nothing. The hub knows something on ${known} of ${findings.length}.`,
    ...sections,
    `## To do\n\n${open.slice(0, 3).join("\n") || "Nothing this week."}`,
  ].join("\n\n");
}

/** Calls the tool that fits unless it was called; then says what came of it. */
function once(turn: Turn, name: RegExp, values: Record<string, unknown>, say: (done: Done) => string): Reply {
  const tool = toolLike(turn, name);
  if (!tool) return { text: `I have no tool for that here. ${ABILITIES}` };
  const done = turn.done.find((each) => each.name === tool.name);
  return done ? { text: say(done) } : { toolCalls: [{ name: tool.name, input: fill(tool, values) }] };
}

function readTurn(request: ModelServerRequest, hint: KeyHint): Turn {
  const asked = request.messages.findLastIndex(
    (each) => each.role === "user" && each.content.some((block) => block.type === "text"),
  );
  const after = request.messages.slice(asked + 1).flatMap((each) => each.content);
  const done = after.flatMap((use): Done[] => {
    if (use.type !== "tool_use") return [];
    const result = after.find((each) => each.type === "tool_result" && each.tool_use_id === use.id);
    if (result?.type !== "tool_result") return [];
    const text = textOf(result.content)
      .replace(/<\/?untrusted[^>]*>/g, "")
      .trim();
    return [{ name: use.name, input: use.input, text, failed: result.is_error === true }];
  });
  const question = textOf(request.messages[asked]?.content.filter((block) => block.type === "text"))
    .replace(/\n\n\(Today is [^\n]*\)\s*$/, "")
    .trim();
  return { question, done, tools: request.tools, ...hint };
}

const toolLike = (turn: Turn, name: RegExp) => turn.tools.find((each) => name.test(each.name));

type Properties = Record<string, { type?: string; enum?: unknown[]; pattern?: string }>;

const propertiesOf = (tool: Turn["tools"][number]) => (tool.input_schema.properties ?? {}) as Properties;

/** Input for a tool by the names of its fields; what else is required gets the plainest value of its type. */
function fill(tool: Turn["tools"][number], values: Record<string, unknown>): Record<string, unknown> {
  const required = (tool.input_schema.required ?? []) as string[];
  const text = Object.values(values).find((each) => typeof each === "string") ?? "demo";
  const plainest: Record<string, unknown> = { number: 1, integer: 1, boolean: false, array: [], object: {} };
  const entries = Object.entries(propertiesOf(tool)).flatMap(([name, schema]) => {
    if (values[name] !== undefined) return [[name, values[name]]];
    if (!required.includes(name)) return [];
    return [[name, schema.enum?.[0] ?? plainest[schema.type ?? ""] ?? text]];
  });
  return Object.fromEntries(entries);
}

/** The file that a tool's result names. */
const pathIn = (text: string) => /"\w+":\s*"([^"]+\.md)"/.exec(text)?.[1];

/** The passages of a `hub_search`: each a line `path:lines`, then its text. */
function hitsOf(found: string): { path: string; lines: string; text: string }[] {
  return found.split(/^(?=\S+:\d+(?:-\d+)?$)/m).flatMap((passage) => {
    const [, path, lines, text] = /^(\S+):(\d+(?:-\d+)?)\n(.*)$/s.exec(passage) ?? [];
    return path && lines ? [{ path, lines, text: text ?? "" }] : [];
  });
}

/** One line of Markdown, without headings and front matter, cut at a word. */
function quote(text: string, most: number): string {
  const line = text
    .replace(/^---\n.*?\n---\n/s, "")
    .replace(/^#+ .*$/gm, "")
    .replace(/\s+/g, " ")
    .trim();
  return line.length <= most ? line : `${line.slice(0, line.lastIndexOf(" ", most))} …`;
}
