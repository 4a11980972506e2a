/** Deeper or longer documents are refused. */
const MOST_DEPTH = 50;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const TOKEN =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<\/([^\s>]+)\s*>|<([^\s/>!?]+)((?:\s+[^\s=>/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

interface Element {
  readonly name: string;
  readonly children: Map<string, unknown>;
  text: string;
}

/**
 * XML as plain data: an element is an object of its attributes (`@name`) and children, its text as `#text`; one with
 * nothing but text is that text, and several of one name are a list. Throws a SyntaxError; entities of a document's own
 * are not expanded, and a DOCTYPE is refused.
 */
export function parseXml(text: string): Record<string, unknown> {
  const root: Element = { name: "", children: new Map(), text: "" };
  const open = [root];
  TOKEN.lastIndex = text.startsWith("\ufeff") ? 1 : 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const [whole, raw, end, name, attributes, empty, words] = TOKEN.exec(text) ?? [];
    if (whole === undefined) throw new SyntaxError(`no XML at place ${at}`);
    const inner = open.at(-1)!;
    if (raw !== undefined) inner.text += raw;
    else if (words !== undefined) inner.text += decode(words);
    else if (end !== undefined) {
      if (open.length === 1 || inner.name !== end) throw new SyntaxError(`</${end}> closes nothing at place ${at}`);
      close(open);
    } else if (name !== undefined) {
      if (open.length > MOST_DEPTH) throw new SyntaxError(`elements within elements at place ${at}`);
      open.push({ name, children: new Map(readAttributes(attributes!)), text: "" });
      if (empty) close(open);
    }
  }
  if (open.length > 1) throw new SyntaxError(`<${open.at(-1)!.name}> is not closed`);
  if (root.children.size !== 1 || root.text.trim()) throw new SyntaxError("there is not one element around all");
  return Object.fromEntries(root.children);
}

function readAttributes(text: string): [string, unknown][] {
  const found = text.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g);
  return [...found].map(([, name, double, single]) => [`@${name}`, decode((double ?? single)!)]);
}

function close(open: Element[]): void {
  const { name, children, text } = open.pop()!;
  const own = text.trim();
  if (own && children.size > 0) children.set("#text", own);
  const value = children.size > 0 ? Object.fromEntries(children) : own;
  const siblings = open.at(-1)!.children;
  const before = siblings.get(name);
  if (!siblings.has(name)) siblings.set(name, value);
  else if (Array.isArray(before)) before.push(value);
  else siblings.set(name, [before, value]);
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code);
  });
}

/** The opposite of `parseXml`. */
export function renderXml(data: Readonly<Record<string, unknown>>): string {
  return Object.entries(data)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => renderElement(name, one)))
    .join("");
}

function renderElement(name: string, value: unknown): string {
  if (typeof value !== "object" || value === null) return `<${name}>${encode(value)}</${name}>`;
  const fields = Object.entries(value);
  const attributes = fields
    .filter(([key]) => key.startsWith("@"))
    .map(([key, one]) => ` ${key.slice(1)}="${encode(one)}"`);
  const children = Object.fromEntries(fields.filter(([key]) => !/^[@#]/.test(key)));
  const text = fields.filter(([key]) => key === "#text").map(([, one]) => encode(one));
  return `<${name}${attributes.join("")}>${text.join("")}${renderXml(children)}</${name}>`;
}

const encode = (value: unknown) => String(value).replace(/[<>&"]/g, (sign) => `&#${sign.codePointAt(0)};`);
