import { DaimonError } from "../../base/errors.ts";
import type { Verdict } from "../../store/runs.ts";
import { findRunDetail, listRuns } from "../../store/views/runs.ts";
import type { Api } from "../auth.ts";
import { page, present, readId, readQuery } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";
import { filterShapes } from "./filters.ts";

/** Runs, retrying and canceling them. */
export function runRoutes(api: Api, { database, actions, clock }: ConsoleOptions): void {
  const QUERY = page("run").extend(filterShapes(clock.now).runs.shape);
  api.get("/runs", async (context) => context.json(await listRuns(database, readQuery(context, QUERY))));

  api.get("/runs/:id", async (context) => {
    const id = readId(context, "run");
    return context.json(present(await findRunDetail(database, id, clock.now()), "run", id));
  });

  api.post("/runs/:id/retries", async (context) => {
    const id = readId(context, "run");
    refuseUnlessDone(
      await actions.retry(id),
      id,
      "Only a run that failed, was canceled or waits for its next try can be retried.",
    );
    return context.json({ runId: id }, 202);
  });

  api.delete("/runs/:id", async (context) => {
    const id = readId(context, "run");
    refuseUnlessDone(await actions.cancel(id), id, "A finished run cannot be canceled.");
    return context.json({ runId: id }, 202);
  });
}

function refuseUnlessDone(verdict: Verdict, id: string, rule: string): void {
  const { done, status } = present(verdict, "run", id);
  if (!done) throw new DaimonError("run.state", `The run is ${status}. ${rule}`, `daimon runs show ${id}`);
}
