import { type Context, oneLine, readPayload, z } from "daimon";

/** How one workflow or deployment ended. */
export interface Result {
  /** The repository, what ran, and where: results of one subject follow one another. */
  readonly subject: readonly [repository: string, what: string, where: string];
  readonly failed: boolean;
  /** What ran, for a person: `CI on main of octo-org/octo-repo`. */
  readonly name: string;
  /** Names this result among all. */
  readonly id: string;
  readonly url: string | null;
  /** The first line of the commit that it ran on. */
  readonly commit: string;
  /** What is known of the reason. */
  readonly reason: string;
  /** Where the failing step can be asked for. */
  readonly run: { readonly repository: string; readonly id: number; readonly attempt: number } | null;
}

const repository = z.object({ full_name: z.string().regex(/^[\w.-]+\/[\w.-]+$/) });

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run */
const workflowRun = z.object({
  repository,
  workflow_run: z.object({
    id: z.int(),
    name: z.string().nullish(),
    head_branch: z.string().nullish(),
    run_number: z.int(),
    run_attempt: z.int().default(1),
    conclusion: z.string(),
    html_url: z.url(),
    head_commit: z.object({ message: z.string() }).nullish(),
  }),
});

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status */
const deploymentStatus = z.object({
  repository,
  deployment: z.object({ ref: z.string(), environment: z.string() }),
  deployment_status: z.object({
    id: z.int(),
    state: z.string(),
    description: z.string().nullish(),
    log_url: z.string().nullish(),
    target_url: z.string().nullish(),
  }),
});

export function readWorkflowRun(event: Context["event"]): Result {
  const { repository, workflow_run: run } = readPayload(workflowRun, event);
  const [what, where] = [run.name || "a workflow", run.head_branch || "no branch"];
  return {
    subject: [repository.full_name, what, where],
    failed: run.conclusion !== "success",
    name: `${oneLine(what, 60)} on ${oneLine(where, 60)} of ${repository.full_name}`,
    id: `run ${run.id}.${run.run_attempt}`,
    url: run.html_url,
    commit: oneLine(run.head_commit?.message.split("\n")[0] ?? "", 80),
    reason: run.conclusion === "timed_out" ? "it took too long" : "",
    run: { repository: repository.full_name, id: run.id, attempt: run.run_attempt },
  };
}

export function readDeployment(event: Context["event"]): Result {
  const { repository, deployment, deployment_status: status } = readPayload(deploymentStatus, event);
  return {
    subject: [repository.full_name, "deployment", deployment.environment],
    failed: status.state !== "success",
    name: `The deployment of ${oneLine(deployment.ref, 60)} to ${oneLine(deployment.environment, 60)} of ${repository.full_name}`,
    id: `status ${status.id}`,
    url: status.log_url || status.target_url || null,
    commit: "",
    reason: oneLine(status.description ?? "", 120),
    run: null,
  };
}
