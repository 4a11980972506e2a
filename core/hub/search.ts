import { Worker } from "node:worker_threads";
import { DaimonError } from "../base/errors.ts";
import type { HubHit } from "../define/context.ts";
import type { SearchRequest } from "./rank.ts";

/** Finds passages of the hub. */
export interface Search {
  find(request: SearchRequest): Promise<Found>;
  /** Tells that a file was written, so that the next search sees it. */
  touch(path: string): void;
  close(): Promise<void>;
}

type Found = { hits: HubHit[]; tokens: number };
type Reply = { id: number; result: Found } | { id: number; problem: string };

const IDLE_MILLISECONDS = 30_000;

/** Opens nothing before the first search: then a thread starts, which ends when it has had nothing to do for long. */
export function openSearch(root: string, file: string): Search {
  const waiting = new Map<number, { done: (found: Found) => void; failed: (error: Error) => void }>();
  const touched = new Set<string>();
  let worker: Worker | null = null;
  let idle: NodeJS.Timeout | undefined;
  let lastId = 0;

  function start(): Worker {
    const started = new Worker(new URL("./search-worker.ts", import.meta.url), { workerData: { root, file } });
    started.on("message", (reply: Reply) => {
      const asked = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ("result" in reply) asked?.done(reply.result);
      else asked?.failed(searchFailed(reply.problem, file));
      if (waiting.size > 0) return;
      started.unref();
      idle = setTimeout(() => void stop("it was idle"), IDLE_MILLISECONDS).unref();
    });
    started.on("error", (error) => void stop(String(error)));
    return started;
  }

  async function stop(why: string): Promise<void> {
    const ending = worker;
    worker = null;
    clearTimeout(idle);
    for (const { failed } of waiting.values()) failed(searchFailed(why, file));
    waiting.clear();
    await ending?.terminate();
  }

  return {
    find: (request) =>
      new Promise((done, failed) => {
        clearTimeout(idle);
        worker ??= start();
        worker.ref();
        waiting.set(++lastId, { done, failed });
        worker.postMessage({ id: lastId, request: { ...request, touched: [...touched] } });
        touched.clear();
      }),
    touch: (path) => void touched.add(path),
    close: () => stop("the hub was closed"),
  };
}

function searchFailed(problem: string, file: string): DaimonError {
  return new DaimonError(
    "hub.search",
    `The hub could not be searched: ${problem.split("\n")[0]}`,
    `Try again; if it stays, remove ${file}, which is only a cache.`,
  );
}
