import { type Context, callApi, oneLine, z } from "daimon";
import type { Result } from "./result.ts";

const FAILED = ["failure", "timed_out"];
const jobs = z.object({
  jobs: z.array(
    z.object({
      name: z.string(),
      conclusion: z.string().nullish(),
      html_url: z.url(),
      steps: z.array(z.object({ name: z.string(), number: z.int(), conclusion: z.string().nullish() })).nullish(),
    }),
  ),
});

/**
 * The step that failed, with a link to its log; null without GITHUB_TOKEN, or when GitHub does not tell: that a run
 * failed is told all the same. https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt
 */
export async function findStep(context: Context, { run }: Result, signal: AbortSignal) {
  const token = optional(context, "GITHUB_TOKEN");
  if (!run || !token) return null;
  const base = (optional(context, "GITHUB_API_URL") ?? "https://api.github.com").replace(/\/+$/, "");
  const path = `/repos/${run.repository}/actions/runs/${run.id}/attempts/${run.attempt}/jobs?per_page=100`;
  try {
    const answer = await callApi({
      ...{ api: "github", url: base + path, signal, next: "GITHUB_TOKEN must be one that may read actions." },
      headers: { accept: "application/vnd.github+json", authorization: `Bearer ${token}`, "user-agent": "daimon" },
    });
    const job = jobs.parse(answer).jobs.find((one) => FAILED.includes(one.conclusion ?? ""));
    if (!job) return null;
    const step = job.steps?.find((one) => FAILED.includes(one.conclusion ?? ""));
    const url = step ? `${job.html_url}#step:${step.number}:1` : job.html_url;
    return { job: oneLine(job.name, 60), step: oneLine(step?.name ?? "unknown", 60), url };
  } catch (error) {
    signal.throwIfAborted();
    context.log.warn("The failing step could not be asked for.", { error: String(error) });
    return null;
  }
}

/** The value of a secret that may be missing. */
function optional({ secret }: Context, name: string): string | undefined {
  try {
    return secret(name);
  } catch {
    // Not set: the capability works without it.
    return undefined;
  }
}
