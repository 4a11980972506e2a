import { type Context, defineSchedule, defineTrigger, type Tick } from "daimon";
import { type Access, listRecent, listSince, type Page, readPush, watch } from "./gmail.ts";

const OWN = ["GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET", "GMAIL_REFRESH_TOKEN", "GMAIL_TOPIC"];

export const accessOf = ({ secret }: Pick<Context, "secret">, signal: AbortSignal): Access => ({
  ...{ clientId: secret("GMAIL_CLIENT_ID"), clientSecret: secret("GMAIL_CLIENT_SECRET") },
  ...{ refreshToken: secret("GMAIL_REFRESH_TOKEN"), signal },
});

/** Which of these secrets are not set. */
export function missingOf({ secret }: Pick<Context, "secret">, names: readonly string[]): string[] {
  return names.filter((name) => {
    try {
      return !secret(name);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "secret.missing") return true;
      throw error;
    }
  });
}

/** A push says only that something came, and how far the history now goes: what came since the point before is an event each. */
export const readMailbox = defineTrigger({
  name: "gmail-push",
  description: "Finds what has come into the Gmail inbox since the last push",
  on: { source: "gmail", type: "push" },
  run: async (context) => {
    const { event, step } = context;
    const { account } = await step.run("read the push", () => readPush(event));
    return { account, found: await findNew(context, account) };
  },
});

/** Emits each message that came since the history's last known point; one that was found before is not kept twice. */
async function findNew(context: Context, account: string): Promise<number> {
  const { event, step, emit } = context;
  const before = await step.lastEvent("the point before", { source: "gmail", type: ["push", "watched"] });
  if (!before) return 0;
  const since = await step.run("read the point before", () =>
    before.type === "push" ? readPush(before).historyId : (before.data as { historyId: string }).historyId,
  );
  const found = new Set<string>();
  let from: string | null = since;
  for (let next: string | null = null, more = true; more; ) {
    const page = await listPage(context, from, next);
    for (const { id, threadId } of page?.found ?? []) {
      const kept = await emit({
        source: "gmail",
        type: "message",
        key: `message ${id}`,
        data: { id, threadId, account },
      });
      // Ids tell what was kept since this run's own event.
      if (kept > event.id) found.add(kept);
    }
    // Of what Gmail remembers no more, the last two days are looked through.
    if (!page) from = null;
    next = page?.next ?? null;
    more = !page || next !== null;
  }
  return found.size;
}

/** A page, as a step: what came since a point of the history, or of late. Null when Gmail remembers the point no more. */
const listPage = (context: Context, since: string | null, next: string | null): Promise<Page | null> =>
  context.step.run(
    "list what came",
    (signal) => (since ? listSince : listRecent)(accessOf(context, signal), next, since ?? ""),
    { untrusted: true },
  );

export const renew = defineSchedule({
  name: "renew",
  description: "Has Gmail go on telling us of mail: it stops after seven days",
  cron: "23 4 * * *",
  catchup: "one",
  run: async (context: Context<Tick>) => {
    const { step, emit, secret } = context;
    const missing = missingOf(context, OWN);
    if (missing.length > 0) return { setUp: false, why: `Gmail is not set up: ${missing.join(", ")} not set.` };
    const { historyId, expiration } = await step.run(
      "watch",
      (signal) => watch(accessOf(context, signal), secret("GMAIL_TOPIC")),
      { untrusted: true },
    );
    // What came while pushes were lost is found before the point is moved past it.
    const found = await findNew(context, "");
    await emit({ source: "gmail", type: "watched", data: { historyId } });
    return { setUp: true, until: new Date(Number(expiration)).toISOString(), found };
  },
});
