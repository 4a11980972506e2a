import { useSignal } from "@preact/signals";
import { type Approval, request } from "./api.ts";
import { Fields } from "./json.tsx";
import { Button, Status, Time } from "./parts.tsx";
import { attempt } from "./state.ts";

/** One exact action that waits for a person: what would be called, with what, whole. */
export function ApprovalCard(props: { approval: Approval; withRun?: boolean; onAnswer?: () => void }) {
  const answered = useSignal<Approval["status"] | null>(null);
  const { approval } = props;
  const state = answered.value ?? approval.status;
  const answer = (word: "approve" | "deny") =>
    attempt(async () => {
      await request("POST", `/api/approvals/${approval.id}/answers`, { answer: word });
      answered.value = word === "approve" ? "approved" : "denied";
      props.onAnswer?.();
    });
  return (
    <article class="approval" data-state={state} aria-label={`Approval: ${approval.title}`}>
      <header>
        <h2>{approval.title}</h2>
        <Status value={state} />
      </header>
      <div class="effect">
        <p class="effect-tool">
          <code>{approval.action.tool}</code>
          <span class="faint">would be called with exactly this:</span>
        </p>
        <Fields value={approval.action.input} />
      </div>
      <footer>
        <span class="faint">
          {state === "waiting" ? (
            <>
              Counts as denied <Time at={approval.expiresAt} />
            </>
          ) : (
            <>
              Answered <Time at={approval.answeredAt ?? new Date().toISOString()} />
            </>
          )}
          {props.withRun && (
            <>
              {" · "}
              <a href={`/runs/${approval.runId}`}>its run</a>
            </>
          )}
        </span>
        {state === "waiting" && (
          <span class="actions">
            <Button onPress={() => answer("deny")}>Deny</Button>
            <Button kind="primary" icon="check" onPress={() => answer("approve")}>
              Approve
            </Button>
          </span>
        )}
      </footer>
    </article>
  );
}
