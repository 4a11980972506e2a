import { type Context, defineSchedule, type Tick } from "daimon";
import { readers } from "./entries.ts";
import { listEvents, type StripePage } from "./stripe.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What is younger may still be on its way as a webhook. */
const YOUNGEST = 5 * MINUTE;
/** How far it looks back at first, and behind the time that it had reached. */
const FIRST = 72 * HOUR;
const OVERLAP = HOUR;
/** Stripe keeps events for so long. */
const OLDEST = 29 * 24 * HOUR;

/** Asks Stripe which events there were, and keeps those that never came: while Daimon was off, or could not be reached. */
export const reconcile = defineSchedule({
  name: "reconcile",
  description: "Fetches from Stripe what did not come as a webhook",
  cron: "17 * * * *",
  catchup: "one",
  overlap: "skip",
  run: async (context: Context<Tick>) => {
    const { event, step, emit, send, now } = context;
    const key = keyOf(context);
    if (!key) return { setUp: false, why: "STRIPE_API_KEY is not set, so nothing is asked of Stripe." };

    const until = new Date(now.getTime() - YOUNGEST);
    const last = await step.lastEvent("how far it came", { source: "payments", type: "reconciled" });
    const reached = last ? Date.parse((last.data as { until: string }).until) - OVERLAP : now.getTime() - FIRST;
    const since = new Date(Math.max(reached, now.getTime() - OLDEST));

    const found: StripePage["data"] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page = await readPage(context, { key, since, until, after });
      found.push(...page.data);
      after = page.data.at(-1)?.id ?? null;
      more = page.has_more && after !== null;
    }
    // The same key as the webhook's: what came already is not kept twice. Ids tell what was kept since this began.
    let missed = 0;
    for (const one of found.toReversed()) {
      const id = await emit({ source: "stripe", type: one.type, key: one.id, data: one });
      if (id > event.id) missed++;
    }
    await emit({ source: "payments", type: "reconciled", data: { until: until.toISOString(), missed } });
    if (missed > 0)
      await send({ text: `${missed} of ${found.length} events of Stripe had not come; now they are here.` });
    return { since: since.toISOString(), until: until.toISOString(), listed: found.length, missed };
  },
});

/** One page, as a step. What stands in it was written by strangers, though it is we who asked. */
const readPage = (
  { step }: Context<Tick>,
  wanted: { key: string; since: Date; until: Date; after: string | null },
): Promise<StripePage> =>
  step.run("list a page", (signal) => listEvents({ ...wanted, types: Object.keys(readers), signal }), {
    untrusted: true,
  });

function keyOf({ secret }: Context<Tick>): string | null {
  try {
    return secret("STRIPE_API_KEY");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "secret.missing") return null;
    throw error;
  }
}
