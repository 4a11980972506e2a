import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress } from "node:zlib";
import type { Context } from "hono";
import type { Log } from "../base/log.ts";
import type { PageFile } from "./options.ts";

/** The pages of the console. */
export interface Pages {
  /** Answers a GET: an asset by its path, and every other path with the one page that finds its way itself. */
  serve(context: Context): Promise<Response>;
}

/** Serves what `build` makes, from memory: made when somebody first opens a page. A failure is logged; the next request tries again. */
export function createPages(build: () => Promise<ReadonlyMap<string, PageFile>>, log: Log): Pages {
  let files: Promise<ReadonlyMap<string, PageFile>> | undefined;
  const compressed = createCompressed();
  const prepare = () => {
    files ??= build().catch((error: unknown) => {
      files = undefined;
      log.error("the pages could not be made", { error: String(error) });
      throw error;
    });
    return files;
  };
  return {
    async serve(context) {
      const { path } = context.req;
      const made = await prepare();
      const file = made.get(path) ?? (path.startsWith("/assets/") ? undefined : made.get("/index.html"));
      return file ? send(context, file, compressed) : context.text("Not found", 404);
    },
  };
}

const compress = promisify(brotliCompress);

/**
 * A file's compressed bytes, which are made beside the main thread when they are first asked for; undefined until they
 * are there (a second at most). Whoever never opens a page never pays for them.
 */
function createCompressed(): (file: PageFile) => Uint8Array | undefined {
  const made = new WeakMap<PageFile, Uint8Array | "making">();
  return (file) => {
    const known = made.get(file);
    if (known) return known === "making" ? undefined : known;
    made.set(file, "making");
    void compress(file.body).then((bytes) => made.set(file, bytes));
    return undefined;
  };
}

function send(context: Context, file: PageFile, compressed: (file: PageFile) => Uint8Array | undefined): Response {
  const brotli = /\bbr\b/.test(context.req.header("accept-encoding") ?? "") ? compressed(file) : undefined;
  const body = brotli ?? file.body;
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  context.header("Content-Type", file.type);
  context.header("Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  context.header("ETag", etag);
  context.header("Vary", "Accept-Encoding");
  if (context.req.header("if-none-match") === etag) return context.body(null, 304);
  if (brotli) context.header("Content-Encoding", "br");
  return context.body(new Uint8Array(body));
}
