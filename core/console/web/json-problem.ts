/** Where a text stops being JSON, and what stands wrong there. Lines and columns count from 1. */
export interface JsonProblem {
  readonly at: number;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

class Wrong extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** The first thing that is wrong in a text that should be JSON (RFC 8259), or null. Browsers tell it each in their own way, or not at all. */
export function findJsonProblem(text: string): JsonProblem | null {
  try {
    const end = space(text, value(text, space(text, 0)));
    if (end < text.length) throw new Wrong(end, "nothing may stand behind the end");
    return null;
  } catch (wrong) {
    if (!(wrong instanceof Wrong)) throw wrong;
    const before = text.slice(0, wrong.at).split("\n");
    return { at: wrong.at, line: before.length, column: before.at(-1)!.length + 1, message: wrong.message };
  }
}

const space = (text: string, at: number): number => at + /^[ \t\n\r]*/.exec(text.slice(at, at + 100_000))![0].length;

/** Each returns where it ends. */
function value(text: string, at: number): number {
  const first = text[at];
  if (first === undefined) throw new Wrong(at, at === 0 ? "there is nothing" : "a value is missing here");
  if (first === "{") return members(text, at, "}", member);
  if (first === "[") return members(text, at, "]", value);
  if (first === '"') return string(text, at);
  const word = /^[^\s,:[\]{}"]+/.exec(text.slice(at, at + 400))?.[0];
  if (!word) throw new Wrong(at, "a value is missing here");
  if (/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(word)) return at + word.length;
  if (/^[-+.\d]/.test(word)) throw new Wrong(at, `${word} is not a number as JSON writes it`);
  throw new Wrong(
    at,
    first === "'" ? 'text stands in double quotes: "' : `${word} is no value: text stands in double quotes`,
  );
}

function members(text: string, from: number, close: string, one: (text: string, at: number) => number): number {
  let at = space(text, from + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    at = space(text, one(text, at));
    if (text[at] === close) return at + 1;
    if (text[at] !== ",") throw new Wrong(at, `a comma or ${close} is missing here`);
    const comma = at;
    at = space(text, at + 1);
    if (text[at] === close) throw new Wrong(comma, `no comma may stand before ${close}`);
  }
}

function member(text: string, at: number): number {
  if (text[at] !== '"') throw new Wrong(at, "a name in double quotes is missing here");
  const colon = space(text, string(text, at));
  if (text[colon] !== ":") throw new Wrong(colon, "a colon is missing here");
  return value(text, space(text, colon + 1));
}

function string(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const letter = text[at]!;
    if (letter === '"') return at + 1;
    if (letter < " ")
      throw new Wrong(at, letter === "\n" ? "the text does not end on its line" : "a tab is written as \\t");
    if (letter !== "\\") continue;
    if (!/^(["\\/bfnrt]|u[\da-fA-F]{4})/.test(text.slice(at + 1, at + 6)))
      throw new Wrong(at, 'a backslash stands only before one of " \\ / b f n r t u');
    at++;
  }
  throw new Wrong(text.length, "the text does not end");
}
