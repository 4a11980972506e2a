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

/** A push says only that something came, and how far the history now goes: what came since the last point is an event each. */
export const readMailbox = defineTrigger({
  name: "gmail-push",
  description: "Finds what has come into the Gmail inbox since the last push",
  on: { source: "gmail", type: "push" },
  run: async (context) => {
    const { account, historyId } = await context.step.run("read the push", () => readPush(context.event));
    return { account, found: await findNew(context, { account, historyId }) };
  },
});

interface Point {
  readonly account: string;
  readonly historyId: string;
}

/**
 * Emits each message that came since the last point to which all was found, and then the new point. One that was found
 * before is not kept twice. Returns how many are new; without a point it begins here.
 */
async function findNew(context: Context, point: Point): Promise<number> {
  const { event, step, emit } = context;
  const before = await step.lastEvent("the last point", { source: "gmail", type: "point" });
  const found = new Set<string>();
  let since: string | null = before ? (before.data as Point).historyId : null;
  const account = point.account || (before?.data as Point | undefined)?.account || "";
  for (let next: string | null = null, more = before !== null; more; ) {
    const page = await listPage(context, since, next);
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
    if (!page) since = null;
    next = page?.next ?? null;
    more = !page || next !== null;
  }
  await emit({ source: "gmail", type: "point", data: { historyId: point.historyId, account } });
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
    const { step, secret } = context;
    const missing = missingOf(context, OWN);
    if (missing.length > 0) return { setUp: false, why: `Gmail is not set up: ${missing.join(", ")} not set.` };
    const { historyId, expiration } = await step.run(
      "watch",
      (signal) => watch(accessOf(context, signal), secret("GMAIL_TOPIC")),
      { untrusted: true },
    );
    // What came while pushes were lost is found here.
    const found = await findNew(context, { account: "", historyId });
    return { setUp: true, until: new Date(Number(expiration)).toISOString(), found };
  },
});
