import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { buildBundle } from "./bundle.ts";

test("the console bundles in memory, small, with nothing that the content policy would refuse", async (t) => {
  const began = performance.now();
  const assets = await buildBundle();
  const took = performance.now() - began;

  const html = new TextDecoder().decode(assets.get("/index.html")!.body);
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/, "nothing inline");
  const linked = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path!);
  for (const path of linked) assert.ok(assets.has(path), path);

  let first = 0;
  let all = 0;
  for (const [path, asset] of assets) {
    const size = brotliCompressSync(asset.body).length;
    assert.equal(asset.immutable, path.startsWith("/assets/"), path);
    if (asset.immutable) assert.match(path, /-[0-9A-Z]{8}\.(js|css)$/);
    all += size;
    if (!path.includes("markdown")) first += size;
  }
  t.diagnostic(`built in ${took.toFixed(0)} ms; ${first} bytes for the first page, ${all} in all, brotli`);
  assert.ok(first < 50_000, `${first} bytes`);

  const code = [...assets]
    .filter(([path]) => path.endsWith(".js"))
    .map(([, { body }]) => new TextDecoder().decode(body));
  for (const text of code) assert.doesNotMatch(text, /\beval\(|new Function\(|insertAdjacentHTML|document\.write/);
});

test("the same sources make the same addresses", async () => {
  assert.deepEqual([...(await buildBundle()).keys()], [...(await buildBundle()).keys()]);
});
