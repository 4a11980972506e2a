import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress } from "node:zlib";
import { build, stop } from "esbuild";

/** One file of the console as it is served. `immutable`: its address changes whenever its bytes do. */
export interface Asset {
  readonly type: string;
  readonly body: Uint8Array;
  readonly brotli?: Uint8Array;
  readonly immutable: boolean;
}

const HERE = import.meta.dirname;
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};
const compress = promisify(brotliCompress);

/**
 * The console, bundled in memory: `/index.html`, `/icon.svg` and the hashed files below `/assets/`. The files'
 * `brotli` is added to the map within a second after: look a file up when it is asked for.
 */
export async function buildBundle(): Promise<Map<string, Asset>> {
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
  const assets: Map<string, Asset> = new Map(
    [...files, ...plain].map(({ path, body, immutable }) => [
      path,
      { type: TYPES[path.split(".").pop()!]!, body, immutable },
    ]),
  );
  void compressBundle(assets);
  return assets;
}

/** Adds the compressed bytes to each file, one after another, off the main thread. Start-up need not wait for it. */
export async function compressBundle(assets: Map<string, Asset>): Promise<void> {
  for (const [path, asset] of assets) {
    assets.set(path, { ...asset, brotli: await compress(asset.body) });
  }
}
