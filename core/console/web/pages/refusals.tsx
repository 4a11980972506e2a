import type { Page, Refusal } from "../api.ts";
import { count } from "../format.ts";
import { Command, Empty, PageBody, Pending, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { EventTabs } from "./events.tsx";

export function Refusals() {
  const { data, error } = useQuery<Page<Refusal>>("/api/refusals", ["refusal"]);
  return (
    <PageBody
      title="Refused"
      heading="Events"
      sub="Requests that were not let in. Nothing of their content is kept: only a count and the reason."
    >
      <div class="toolbar">
        <EventTabs current="refusals" />
      </div>
      {!data ? (
        <Pending error={error} />
      ) : data.items.length === 0 ? (
        <Empty icon="approvals" title="Nothing was refused.">
          <p>See it happen: break a signature on purpose.</p>
          <Command text="npx daimon send github push --bad-signature" />
        </Empty>
      ) : (
        <ul class="rows refusal-rows">
          {data.items.map((one) => (
            <li key={one.source + one.reason} class="row">
              <RefusalMark refusal={one} />
              <span class="row-main">
                <b>{one.source}</b> <span>{one.reason}</span>
              </span>
              <span class="row-runs num">{one.count === 1 ? "once" : `${count(one.count)} times`}</span>
              <Time row at={one.lastAt} />
            </li>
          ))}
        </ul>
      )}
    </PageBody>
  );
}

/** Why it was not kept; a delivery that was known already was answered with the first one's id. */
export function RefusalMark({ refusal }: { refusal: Refusal }) {
  const known = refusal.reason === "duplicate";
  return <Status value={known ? "known" : "refused"} word={known ? "kept once" : "refused"} />;
}
