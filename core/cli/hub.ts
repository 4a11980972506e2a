import type { HubHit } from "../define/context.ts";
import { call } from "./connection.ts";
import { query, type ReadOptions } from "./read.ts";
import { clean, line, paint, print, printJson, say } from "./terminal.ts";

export async function mapHub(options: ReadOptions) {
  const map = await call<{ text: string; tokens: number }>("GET", `/api/hub/map${query(options)}`);
  if (options.json) return printJson(map);
  print(clean(map.text).trimEnd());
  say(`${map.tokens} tokens`);
}

export async function searchHub(words: string[], options: ReadOptions) {
  const path = `/api/hub/search${query({ ...options, q: words.join(" ") })}`;
  const found = await call<{ hits: HubHit[]; tokens: number }>("GET", path);
  if (options.json) return printJson(found);
  for (const hit of found.hits) {
    print(`${paint("bold", line(`${hit.path}:${hit.lines}`))}\n${clean(hit.text).trimEnd()}\n`);
  }
  say(found.hits.length === 0 ? "Nothing found." : `${found.tokens} tokens`);
}

export async function readHub(path: string, options: ReadOptions) {
  const file = await call<{ path: string; text: string; truncated: boolean }>(
    "GET",
    `/api/hub/file${query({ ...options, path })}`,
  );
  if (options.json) return printJson(file);
  print(clean(file.text).trimEnd());
  if (file.truncated) say("It is longer; this is its beginning. More: --budget <tokens>");
}
