import { callApi, z } from "daimon";

const API = "https://api.stripe.com";
/** Events of a page: so many stay below what a step may keep. */
const PAGE = 20;

const page = z.object({
  has_more: z.boolean(),
  data: z.array(z.looseObject({ id: z.string(), type: z.string(), created: z.int() })),
});

export type StripePage = z.infer<typeof page>;

/**
 * One page of the account's events between two times, newest first. Stripe keeps them for 30 days.
 * https://docs.stripe.com/api/events/list
 */
export async function listEvents(wanted: {
  types: readonly string[];
  since: Date;
  until: Date;
  /** The last event of the page before. */
  after: string | null;
  key: string;
  signal: AbortSignal;
}): Promise<StripePage> {
  const seconds = (time: Date) => String(Math.floor(time.getTime() / 1000));
  const url = new URL("/v1/events", API);
  for (const type of wanted.types) url.searchParams.append("types[]", type);
  url.searchParams.set("created[gte]", seconds(wanted.since));
  url.searchParams.set("created[lt]", seconds(wanted.until));
  url.searchParams.set("limit", String(PAGE));
  if (wanted.after) url.searchParams.set("starting_after", wanted.after);
  const answer = await callApi({
    ...{ api: "stripe", url, signal: wanted.signal, headers: { authorization: `Bearer ${wanted.key}` } },
    next: "STRIPE_API_KEY must be a key that may read events.",
  });
  return page.parse(answer);
}
