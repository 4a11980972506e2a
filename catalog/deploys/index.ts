import { defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";
import { report } from "./report.ts";
import { readDeployment, readWorkflowRun } from "./result.ts";

const webhook = defineWebhook({
  source: "deploys",
  description: "Results of GitHub Actions and of deployments",
  ...schemes.github,
  verify: { ...schemes.github.verify, secret: "DEPLOYS_WEBHOOK_SECRET" },
  setup:
    "In the repository or organization: *Settings → Webhooks → Add webhook*, also beside one of `github`. Payload URL: this address. Content type: `application/json`. Secret: the value of `DEPLOYS_WEBHOOK_SECRET` in `home/.env`. Events: *Workflow runs* and *Deployment statuses*, nothing else.",
});

const workflowResult = defineTrigger({
  name: "workflow-result",
  description: "Tells how a workflow of GitHub Actions ended",
  on: {
    source: "deploys",
    type: "workflow_run.completed",
    where: { "workflow_run.conclusion": ["success", "failure", "timed_out", "startup_failure"] },
  },
  concurrency: { limit: 1 },
  run: (context) => report(context, () => readWorkflowRun(context.event)),
});

const deploymentResult = defineTrigger({
  name: "deployment-result",
  description: "Tells how a deployment ended",
  on: {
    source: "deploys",
    type: "deployment_status.created",
    where: { "deployment_status.state": ["success", "failure", "error"] },
  },
  concurrency: { limit: 1 },
  run: (context) => report(context, () => readDeployment(context.event)),
});

export default defineCapability({
  name: "deploys",
  description: "Tells how GitHub Actions and deployments end: failures, recoveries, and not each success.",
  webhooks: [webhook],
  triggers: [workflowResult, deploymentResult],
  secrets: [
    { name: "DEPLOYS_WEBHOOK_SECRET", description: "What GitHub signs these deliveries with", generate: true },
    { name: "GITHUB_TOKEN", description: "To find the step that failed; needs to read Actions", required: false },
    { name: "GITHUB_API_URL", description: "The API of a GitHub Enterprise Server", required: false },
  ],
  egress: ["api.github.com"],
});
