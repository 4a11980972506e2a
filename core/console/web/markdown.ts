import { lexer, type MarkedToken, type Token } from "marked";
import { type ComponentChildren, h } from "preact";

const LONGEST = 200_000;
const ENTITIES: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&nbsp;": "\u00a0",
};

/**
 * Markdown as vnodes. No HTML string ever exists: markup in the text is shown as text, images are links that
 * say so and load nothing, and only absolute http, https and mailto addresses become links, each with its host
 * in full. Cut at 200,000 characters.
 */
export function renderMarkdown(text: string): ComponentChildren {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n\n…` : text;
  try {
    return blocks(lexer(cut, { gfm: true }));
  } catch {
    return h("pre", { class: "plain" }, cut);
  }
}

/** The address when it may be a link: absolute http, https or mailto; else null. */
export function safeLink(href: string): URL | null {
  if (!/^(https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href)) return null;
  const url = new URL(href);
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
}

function blocks(tokens: readonly Token[]): ComponentChildren[] {
  return tokens.map((token) => render(token as MarkedToken));
}

function render(token: MarkedToken): ComponentChildren {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return h(`h${Math.min(6, token.depth + 2)}`, {}, blocks(token.tokens));
    case "paragraph":
      return h("p", {}, blocks(token.tokens));
    case "blockquote":
      return h("blockquote", {}, blocks(token.tokens));
    case "strong":
    case "em":
    case "del":
      return h(token.type, {}, blocks(token.tokens));
    case "codespan":
      return h("code", {}, token.text);
    case "code":
      return h("pre", { class: "code" }, h("code", {}, token.text));
    case "hr":
    case "br":
      return h(token.type, {});
    case "list":
      return h(
        token.ordered ? "ol" : "ul",
        token.ordered && Number(token.start) > 1 ? { start: Number(token.start) } : {},
        token.items.map((item) => h("li", { class: item.task ? "task" : undefined }, blocks(item.tokens))),
      );
    case "checkbox":
      return token.checked ? "☑ " : "☐ ";
    case "table":
      return table(token);
    case "link":
      return link(token.href, blocks(token.tokens), token.text);
    case "image":
      return link(token.href, [`[image: ${decode(token.text) || "untitled"}]`], token.text);
    case "text":
      return "tokens" in token && token.tokens ? blocks(token.tokens) : decode(token.text);
    case "escape":
      return decode(token.text);
    default:
      return (token as Token).raw;
  }
}

function table(token: Extract<MarkedToken, { type: "table" }>): ComponentChildren {
  const cell = (name: "th" | "td") => (one: { tokens: Token[]; align: string | null }) =>
    h(name, { class: one.align ? `align-${one.align}` : undefined }, blocks(one.tokens));
  return h(
    "div",
    { class: "table-scroll" },
    h("table", {}, [
      h("thead", {}, h("tr", {}, token.header.map(cell("th")))),
      h(
        "tbody",
        {},
        token.rows.map((row) => h("tr", {}, row.map(cell("td")))),
      ),
    ]),
  );
}

function link(href: string, children: ComponentChildren[], text: string): ComponentChildren {
  const url = safeLink(href);
  if (!url) return h("span", { class: "no-link", title: "Not a link: only http, https and mailto are" }, children);
  const host = url.protocol === "mailto:" ? url.pathname : url.host;
  const anchor = h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", title: url.href }, children);
  return text.includes(host) ? anchor : [anchor, h("span", { class: "host" }, ` (${host})`)];
}

function decode(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39|nbsp);/g, (entity) => ENTITIES[entity]!);
}
