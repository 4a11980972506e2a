import type { IssueItem } from "../api.ts";
import { plural } from "../format.ts";
import { FilterChoice, Listing, Row } from "../listing.tsx";
import { Empty, KindMark, PageBody, Tabs, Time } from "../parts.tsx";
import { useList } from "../query.ts";
import { place, setQuery } from "../router.ts";
import { status } from "../state.ts";

const TABS = { "": "Open", closed: "Closed", all: "All" } as const;

export function Issues() {
  const query = place.value.query;
  const tab = (query.get("status") ?? "") as keyof typeof TABS;
  const kind = query.get("kind") ?? "";
  const filters = new URLSearchParams({
    ...(tab === "all" ? {} : { status: tab || "open" }),
    ...(kind ? { kind } : {}),
  });
  const list = useList<IssueItem>(`/api/issues?${filters}`, ["issue", "run"]);
  return (
    <PageBody
      title="Issues"
      sub="What is wrong, once for each cause: failures, silence, and payloads of another shape."
    >
      <div class="toolbar">
        <Tabs
          label="Status"
          current={tab}
          tabs={(Object.keys(TABS) as (keyof typeof TABS)[]).map((name) => ({
            name,
            text: TABS[name],
            count: name === "" ? status.value?.issues || undefined : undefined,
          }))}
          onPick={(name) => setQuery("status", name)}
        />
        <span class="filters">
          <FilterChoice name="kind" label="Kind" any="Any kind" options={["failure", "silence", "shape"]} />
        </span>
      </div>
      <Listing
        list={list}
        empty={
          <Empty icon="check" title={tab === "" && !kind ? "Nothing is wrong." : "No issue is like that."}>
            <p>
              What fails in the same way is one issue here. It closes by itself when all of it was put right, and comes
              back when it fails again.
            </p>
          </Empty>
        }
      >
        {(items) => (
          <ul class="rows issue-rows">
            {items.map((issue) => (
              <Row key={issue.id} href={`/issues/${issue.id}`}>
                <KindMark issue={issue} />
                <span class="row-main">
                  <b>{issue.title}</b> {issue.kind === "failure" && <span class="faint">{issue.about}</span>}
                </span>
                <span class="row-runs num">{issue.count === 1 ? "once" : plural(issue.count, "time")}</span>
                <Time row at={issue.lastAt} />
              </Row>
            ))}
          </ul>
        )}
      </Listing>
    </PageBody>
  );
}
