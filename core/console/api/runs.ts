import { Hono } from "hono";
import { DaimonError } from "../../base/errors.ts";
import type { Verdict } from "../../store/runs.ts";
import { findRunDetail, listRuns } from "../../store/views/runs.ts";
import type { ConsoleEnv } from "../auth.ts";
import { PAGE, present, readId, readQuery } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";
import { filterShapes } from "./filters.ts";

/** Runs, retrying and canceling them. */
export function runRoutes({ database, actions, clock }: ConsoleOptions): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  const QUERY = PAGE.extend(filterShapes(clock.now).runs.shape);
  app.get("/runs", async (context) => context.json(await listRuns(database, readQuery(context, QUERY))));

  app.get("/runs/:id", async (context) => {
    const id = readId(context, "run");
    return context.json(present(await findRunDetail(database, id, clock.now()), "run", id));
  });

  app.post("/runs/:id/retries", async (context) => {
    const id = readId(context, "run");
    refuseUnlessDone(
      await actions.retry(id),
      id,
      "Only a run that failed, was canceled or waits for its next try can be retried.",
    );
    return context.json({ runId: id }, 202);
  });

  app.delete("/runs/:id", async (context) => {
    const id = readId(context, "run");
    refuseUnlessDone(await actions.cancel(id), id, "A finished run cannot be canceled.");
    return context.json({ runId: id }, 202);
  });
  return app;
}

function refuseUnlessDone(verdict: Verdict, id: string, rule: string): void {
  const { done, status } = present(verdict, "run", id);
  if (!done) throw new DaimonError("run.state", `The run is ${status}. ${rule}`, `daimon runs show ${id}`);
}
