import { parentPort, workerData } from "node:worker_threads";
import type { SearchRequest } from "./rank.ts";
import { SearchIndex } from "./search-index.ts";

// The thread in which the index lives, so that building it never holds up the rest of the house.
const { root, file } = workerData as { root: string; file: string };
let index: SearchIndex | null = null;

parentPort!.on("message", ({ id, request }: { id: number; request: SearchRequest }) => {
  try {
    index ??= new SearchIndex(root, file);
    parentPort!.postMessage({ id, result: index.search(request) });
  } catch (error) {
    parentPort!.postMessage({ id, problem: String(error instanceof Error ? error.stack : error) });
  }
});
