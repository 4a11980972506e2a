import type { Registry } from "prom-client";
import type { Database } from "./store/database.ts";
import { readFigures } from "./store/figures.ts";

/**
 * The figures of this moment in Prometheus's text format, made when they are asked for
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). No label holds an id or a piece of a payload.
 */
export function createMetrics(database: Database): () => Promise<string> {
  let ofProcess: Registry | undefined;
  return async () => {
    // Loaded when first asked for: start-up does not pay for it.
    const { Gauge, Registry, collectDefaultMetrics } = await import("prom-client");
    if (!ofProcess) {
      ofProcess = new Registry();
      collectDefaultMetrics({ register: ofProcess });
      // Gauges with the name of a counter.
      for (const what of ["handles", "requests", "resources"])
        ofProcess.removeSingleMetric(`nodejs_active_${what}_total`);
    }
    const register = new Registry();
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers: [register] });
    const figures = await readFigures(database);
    const events = gauge("daimon_events", "Events kept, by source and outcome.", ["source", "outcome"]);
    for (const { source, outcome, count } of figures.events) events.set({ source, outcome }, count);
    const runs = gauge("daimon_runs", "Runs that are not finished, and failed ones, by status.", ["status"]);
    for (const { status, count } of figures.runs) runs.set({ status }, count);
    const refusals = gauge("daimon_refusals", "Requests that were not let in.", ["source", "reason"]);
    for (const { source, reason, count } of figures.refusals) refusals.set({ source, reason }, count);
    const issues = gauge("daimon_issues_open", "Issues that are open, by kind.", ["kind"]);
    for (const { kind, count } of figures.issues) issues.set({ kind }, count);
    gauge("daimon_queue_oldest_seconds", "Age of the oldest ready run.").set(figures.oldestSeconds);
    gauge("daimon_approvals_waiting", "Approvals that wait for a person.").set(figures.approvals);
    gauge("daimon_spent_usd_today", "US dollars settled today, in the owner's zone.").set(figures.usdToday);
    return (await ofProcess.metrics()) + (await register.metrics());
  };
}
