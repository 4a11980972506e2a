import type { Registry } from "prom-client";
import type { Clock } from "./base/clock.ts";
import type { Database } from "./store/database.ts";
import { readFigures } from "./store/figures.ts";
import { readSpent } from "./store/views/costs.ts";

type MetricsOptions = { readonly database: Database; readonly zone: string; readonly clock: Pick<Clock, "now"> };

/**
 * The figures of this moment in Prometheus's text format, made when they are asked for
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). No label holds an id or a piece of a payload.
 */
export function createMetrics({ database, zone, clock }: MetricsOptions): () => Promise<string> {
  let ofProcess: Registry | undefined;
  return async () => {
    // Loaded when first asked for: start-up does not pay for it.
    const { Gauge, Registry, collectDefaultMetrics } = await import("prom-client");
    if (!ofProcess) {
      ofProcess = new Registry();
      collectDefaultMetrics({ register: ofProcess });
      // Gauges named like counters.
      for (const what of ["handles", "requests", "resources"])
        ofProcess.removeSingleMetric(`nodejs_active_${what}_total`);
    }
    const register = new Registry();
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers: [register] });
    const counts = (name: string, help: string, labels: string[], rows: readonly { count: number }[]) => {
      const counted = gauge(name, help, labels);
      for (const { count, ...by } of rows) counted.set(by, count);
    };
    const [figures, spent] = await Promise.all([readFigures(database), readSpent(database, clock.now(), zone)]);
    counts("daimon_events", "Events of the last day, by source and outcome.", ["source", "outcome"], figures.events);
    counts("daimon_runs", "Runs that are not finished, and failed ones, by status.", ["status"], figures.runs);
    counts("daimon_refusals", "Requests that were not let in.", ["source", "reason"], figures.refusals);
    counts("daimon_issues_open", "Issues that are open, by kind.", ["kind"], figures.issues);
    gauge("daimon_queue_oldest_seconds", "Age of the oldest ready run.").set(figures.oldestSeconds);
    gauge("daimon_approvals_waiting", "Approvals that wait for a person.").set(figures.approvals);
    gauge("daimon_spent_usd_today", "US dollars settled today, in the owner's zone.").set(spent.today);
    return (await ofProcess.metrics()) + (await register.metrics());
  };
}
