import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build, stop } from "esbuild";
import type { PageFile } from "../options.ts";

const HERE = import.meta.dirname;
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The console, bundled in memory: `/index.html`, `/icon.svg` and the hashed files below `/assets/`. */
export async function buildBundle(): Promise<Map<string, PageFile>> {
  const { outputFiles } = await build({
    absWorkingDir: HERE,
    entryPoints: { app: "main.tsx", style: "style/index.css" },
    outdir: "/",
    entryNames: "assets/[name]-[hash]",
    chunkNames: "assets/[name]-[hash]",
    splitting: true,
    charset: "utf8",
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: ["chrome123", "firefox121", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "silent",
  });
  await stop();
  const files = outputFiles.map((file) => ({
    path: file.path.replaceAll("\\", "/").replace(/^.*\/assets\//, "/assets/"),
    body: file.contents,
    immutable: true,
  }));
  const named = (name: RegExp) => files.find((file) => name.test(file.path))!.path;
  const html = (await readFile(join(HERE, "index.html"), "utf8"))
    .replace("{{style}}", named(/\/style-/))
    .replace("{{script}}", named(/\/app-/));
  const plain = [
    { path: "/index.html", body: new TextEncoder().encode(html), immutable: false },
    { path: "/icon.svg", body: await readFile(join(HERE, "icon.svg")), immutable: false },
  ];
  return new Map(
    [...files, ...plain].map(({ path, body, immutable }) => [
      path,
      { type: TYPES[path.split(".").pop()!]!, body, immutable },
    ]),
  );
}
