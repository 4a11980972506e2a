import { parseDuration } from "../base/durations.ts";
import type { ApprovalRequest } from "../define/context.ts";
import type { DaimonEvent, EventMatch } from "../define/event.ts";
import type { Step } from "../define/run.ts";
import { actionDigest } from "../policy/approvals.ts";
import { join } from "../policy/labels.ts";
import { askApproval } from "../store/approvals.ts";
import { eventsBefore, eventsSince, findEvent, type Wanted } from "../store/events.ts";
import type { WaitSeed } from "../store/runs.ts";
import { changedError, type Ledger } from "./ledger.ts";
import { containment, likePatterns, matchesWhere } from "./match.ts";
import { recordStep } from "./record.ts";

/** Sleeps without holding a process. */
export async function sleepStep(ledger: Ledger, prefix: string, name: string, duration: string): Promise<void> {
  const { clock } = ledger.options;
  const { key, kept } = ledger.take(prefix, name, "sleep");
  if (kept?.status === "completed") return;
  const { startedAt, until } = term(ledger, kept, duration);
  const step = { key, kind: "sleep", startedAt, value: { until }, error: null, detail: null, usd: 0 } as const;
  if (clock.now() >= until) return await ledger.during(() => ledger.keep({ ...step, status: "completed" }));
  if (!kept) await ledger.during(() => ledger.keep({ ...step, status: "started" }));
  return await ledger.suspend({ waiting: { kind: "sleep", step: key }, wakeAt: until, wait: null });
}

/** Waits for an event that fits, those since the run was made included; null after `timeout`. */
export async function waitStep(
  ledger: Ledger,
  place: { prefix: string; name: string },
  match: EventMatch,
  timeout: string,
): Promise<DaimonEvent | null> {
  const { database, run, clock } = ledger.options;
  const { key, kept } = ledger.take(place.prefix, place.name, "wait");
  const signature = JSON.stringify(match);
  const consumed = ledger.consumed.get(signature) ?? [];
  ledger.consumed.set(signature, consumed);
  if (kept?.status === "completed") {
    const { eventId } = kept.value as { eventId: string | null };
    if (eventId) consumed.push(eventId);
    return eventId ? await ledger.during(() => findEvent(database, eventId)) : null;
  }
  const { startedAt, until } = term(ledger, kept, timeout);
  const wait: WaitSeed = { step: key, ...toWanted(match) };
  const over = clock.now() >= until;
  const event = await ledger.during(async () => {
    const candidates = await eventsSince(database, run.id, { ...wait, not: consumed, most: 200 });
    const found = candidates.find((candidate) => matchesWhere(match.where, candidate.data)) ?? null;
    if (found) ledger.label = join(ledger.label, found.label);
    const step = { key, kind: "wait", startedAt, error: null, detail: match, usd: 0 } as const;
    if (found || over)
      await ledger.keep({ ...step, status: "completed", value: { eventId: found?.id ?? null, until } });
    else if (!kept) await ledger.keep({ ...step, status: "started", value: { until } });
    return found;
  });
  if (event) consumed.push(event.id);
  if (event || over) return event;
  const waiting = {
    kind: "event",
    step: key,
    source: match.source,
    type: [match.type ?? "*"].flat().join(", "),
  } as const;
  return await ledger.suspend({ waiting, wakeAt: until, wait });
}

const toWanted = ({ source, type, where }: EventMatch): Wanted => ({
  source,
  types: likePatterns(type),
  match: containment(where),
});

/** The newest event that fits and was kept before the run's own, or null. */
export async function lastEventStep(
  ledger: Ledger,
  prefix: string,
  name: string,
  match: EventMatch,
): Promise<DaimonEvent | null> {
  const { database, run } = ledger.options;
  const id = await recordStep(
    ledger,
    {
      ...{ name, kind: "code", detail: match },
      async code(notes) {
        const candidates = await eventsBefore(database, run.events[0]!.id, { ...toWanted(match), most: 200 });
        const found = candidates.find((candidate) => matchesWhere(match.where, candidate.data));
        if (found) notes.label(found.label);
        return found?.id ?? null;
      },
    },
    { prefix },
  );
  return id === null ? null : await ledger.during(() => findEvent(database, id));
}

/** Asks a person about one exact action; true when approved, false when denied or not answered in time. */
export async function approveStep(
  ledger: Ledger,
  prefix: string,
  name: string,
  request: ApprovalRequest,
): Promise<boolean> {
  const { database, run, clock, live } = ledger.options;
  const { key, kept } = ledger.take(prefix, name, "approval");
  if (kept?.status === "completed") return kept.value as boolean;
  const { startedAt, until } = term(ledger, kept, request.timeout ?? "24h");
  const step = { key, kind: "approval", startedAt, error: null, detail: request.action, usd: 0 } as const;
  const { approval, answered } = await ledger.during(async () => {
    const digest = actionDigest({ ...request.action, label: ledger.label });
    const over = clock.now() >= until;
    const asked = await askApproval(database, { ...request, runId: run.id, step: key, digest, expiresAt: until, over });
    // An answer is bound to the exact action: code that changed meanwhile may not use it for another.
    if (asked.digest !== digest)
      throw changedError(run.handler, key, { key: `${key} (another action)`, kind: "approval" });
    const decided = asked.status !== "waiting";
    if (decided) await ledger.keep({ ...step, status: "completed", value: asked.status === "approved" });
    else if (!kept) await ledger.keep({ ...step, status: "started", value: { approvalId: asked.id, until } });
    return { approval: asked, answered: decided };
  });
  if (answered) return approval.status === "approved";
  live.publish({ kind: "approval", id: approval.id, status: "waiting", name: run.id, text: approval.title });
  const waiting = { kind: "approval", step: key, approvalId: approval.id } as const;
  return await ledger.suspend({ waiting, wakeAt: until, wait: null });
}

/** Since when a step waits and until when: as it was kept, else from now. */
function term(ledger: Ledger, kept: Step | undefined, duration: string): { startedAt: Date; until: Date } {
  const startedAt = kept?.startedAt ?? ledger.options.clock.now();
  const until = (kept?.value as { until?: string } | undefined)?.until;
  return { startedAt, until: until ? new Date(until) : new Date(startedAt.getTime() + parseDuration(duration)) };
}
