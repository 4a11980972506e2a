import type { Approval, Page } from "../api.ts";
import { ApprovalCard } from "../approval.tsx";
import { Row } from "../listing.tsx";
import { Empty, PageBody, Pending, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";

export function Approvals() {
  const { data, error, reload } = useQuery<Page<Approval>>("/api/approvals?status=waiting&limit=200", [
    "approval",
    "run",
  ]);
  const all = useQuery<Page<Approval>>("/api/approvals", ["approval", "run"]);
  const waiting = data?.items ?? [];
  const answered = all.data?.items.filter((one) => one.status !== "waiting") ?? [];
  return (
    <PageBody
      title="Approvals"
      sub="Your answer counts for exactly what is shown, once. What is not answered in time is denied."
    >
      {!data ? (
        <Pending error={error} />
      ) : (
        <>
          {waiting.length === 0 ? (
            <Empty icon="approvals" title="Nothing waits for you.">
              <p>
                When an agent wants to do something that needs a person, its run waits here and holds no process
                meanwhile.
              </p>
            </Empty>
          ) : (
            waiting.map((approval) => <ApprovalCard key={approval.id} approval={approval} withRun onAnswer={reload} />)
          )}
          {answered.length > 0 && (
            <>
              <h2 class="section">Answered</h2>
              <ul class="rows approval-rows">
                {answered.map((one) => (
                  <Row key={one.id} href={`/runs/${one.runId}`}>
                    <Status value={one.status} />
                    <span class="row-main">
                      <b>{one.title}</b> <code class="faint">{one.action.tool}</code>
                    </span>
                    <Time row at={one.answeredAt ?? one.expiresAt} />
                  </Row>
                ))}
              </ul>
            </>
          )}
        </>
      )}
    </PageBody>
  );
}
