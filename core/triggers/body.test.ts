import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBody } from "./body.ts";
import { parseXml, renderXml } from "./xml.ts";

const parse = (type: string, body: string | Uint8Array) =>
  parseBody({ method: "POST", url: "/", headers: { "content-type": type }, body: Buffer.from(body as string) });

test("XML becomes plain data, and the same XML again", () => {
  const text = `\ufeff<?xml version="1.0"?><!-- a > b --><feed xmlns:yt="x&amp;y">
    <link rel='hub' href="https://a.example"/><link/>
    <entry><yt:videoId>v1</yt:videoId><title lang="de">Gr&#252;&#xDF;e <![CDATA[<b>&amp;]]></title><n> 1 </n></entry>
  </feed>`;
  const data = {
    feed: {
      "@xmlns:yt": "x&y",
      link: [{ "@rel": "hub", "@href": "https://a.example" }, ""],
      entry: { "yt:videoId": "v1", title: { "@lang": "de", "#text": "Grüße <b>&amp;" }, n: "1" },
    },
  };
  assert.deepEqual(parseXml(text), data);
  assert.deepEqual(parseXml(renderXml(data)), data);
  assert.deepEqual(parse("application/atom+xml; charset=utf-8", text).parsed, data);
});

test("what is no XML, or could do more than tell something, is refused", () => {
  const wrong = [
    "",
    "text",
    "<a>",
    "<a></b>",
    "<a/><b/>",
    "</a>",
    "<a b=c/>",
    "<a b='<'/>",
    "<a",
    "<!-- <a/>",
    "x<a/>",
  ];
  const sly = ['<!DOCTYPE a [<!ENTITY e "e">]><a>&e;</a>', "<a>".repeat(100) + "</a>".repeat(100)];
  for (const text of [...wrong, ...sly]) assert.throws(() => parseXml(text), SyntaxError, text);
  assert.deepEqual(parseXml("<a>&e;&#xffffff;</a>"), { a: "&e;\ufffd" });
  assert.deepEqual(Object.keys(parseXml("<__proto__><a>1</a></__proto__>")), ["__proto__"]);
  assert.match(parse("text/xml", "<a>").problem!, /^The body is not XML: /);
});

test("XML that is made to be slow is not", () => {
  const size = 200_000;
  const began = performance.now();
  for (const text of [
    `<a${" ".repeat(size)}`,
    `<a${" b='c'".repeat(size / 6)}`,
    "<!--".repeat(size / 4),
    "<".repeat(size),
  ])
    assert.throws(() => parseXml(text), SyntaxError);
  parseXml(`<a>${"<b/>".repeat(size / 4)}</a>`);
  assert.ok(performance.now() - began < 10_000);
});

test("what cannot be read says why in words that can be kept", () => {
  assert.equal(parse("application/json", '{"a": \0}').problem?.includes("\0"), false);
  const deep = (levels: number) => `${"[".repeat(levels)}${" ".repeat(1000)}${"]".repeat(levels)}`;
  const problem = "The body is nested more than 1000 levels deep.";
  for (const levels of [1002, 200_000]) {
    assert.equal(parse("application/json", deep(levels)).problem, problem);
    assert.equal(parse("application/x-www-form-urlencoded", `payload=${deep(levels)}`).problem, problem);
  }
  assert.equal(parse("application/json", deep(1000)).problem, undefined);
});

test("a form is known by its content type, however that is written", () => {
  assert.deepEqual(parse("APPLICATION/X-WWW-FORM-URLENCODED; CHARSET=UTF-8", "a=1").parsed, { a: "1" });
});

test("a form in parts is read: text as it is, of a file what it is", () => {
  const body = Buffer.concat([
    Buffer.from('--x\r\nContent-Disposition: form-data; name="subject"\r\n\r\nGrüße\r\n--y\r\n'),
    Buffer.from(
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n',
    ),
    Buffer.from([0xff, 0x0d, 0x0a, 0x00]),
    Buffer.from("\r\n--x--\r\n"),
  ]);
  assert.deepEqual(parse("multipart/form-data; boundary=x", body).parsed, {
    subject: "Grüße\r\n--y",
    file: { file: "a.png", media: "image/png", bytes: 4 },
  });
  assert.equal(parse('multipart/form-data; boundary="x"', body).problem, undefined);
  for (const [type, text] of [
    ["multipart/form-data", "--x\r\n"],
    ["multipart/form-data; boundary=x", ""],
    ["multipart/form-data; boundary=x", "--x--"],
    ["multipart/form-data; boundary=x", "--x\r\n\r\n\r\n--x--"],
    ["multipart/form-data; boundary=x", '--x\r\nname="a"\r\n--x--'],
  ] as const)
    assert.match(parse(type, text).problem!, /^The body is not a form: /, text);
});

test("a field of a form that comes several times is the list of its values", () => {
  const twice = { a: ["1", "2"], b: "3" };
  assert.deepEqual(parse("application/x-www-form-urlencoded", "a=1&b=3&a=2").parsed, twice);
  const part = (name: string, value: string) =>
    `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const parts = part("a", "1") + part("b", "3") + part("a", "2");
  assert.deepEqual(parse("multipart/form-data; boundary=x", `${parts}--x--\r\n`).parsed, twice);
});
