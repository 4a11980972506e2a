import { type Context, defineSchedule, type Tick, z } from "daimon";
import { type Answer, askGitHub } from "./api.ts";
import { optional } from "./comment.ts";

/** GitHub keeps deliveries for three days, and delivers none of them again by itself. */
const KEPT_DAYS = 3;
const MOST_PAGES = 30;
const MOST_PAUSES = 3;
/** Hours after the last try of a delivery at which it is asked for again; then it is given up. */
const HOURS = [0, 1, 4, 12, 24];

/** https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook */
const deliveries = z.array(
  z.object({
    id: z.coerce.string(),
    guid: z.string(),
    delivered_at: z.iso.datetime({ offset: true }),
    status_code: z.int(),
  }),
);
export type Delivery = z.infer<typeof deliveries>[number];

export const reconcile = defineSchedule({
  name: "reconcile",
  description: "Asks GitHub to deliver again what did not reach us",
  cron: "17 * * * *",
  catchup: "one",
  overlap: "skip",
  retry: { attempts: 3, delays: [60_000, 600_000] },
  run: async (context) => {
    const [token, hooks] = [optional(context, "GITHUB_TOKEN"), optional(context, "GITHUB_HOOKS")];
    const missing = [...(token ? [] : ["GITHUB_TOKEN"]), ...(hooks ? [] : ["GITHUB_HOOKS"])];
    if (!token || !hooks)
      return {
        state: "not set up",
        next: `Write ${missing.join(" and ")} into the .env that \`daimon doctor\` names: see the README of github.`,
      };
    const results: object[] = [];
    for (const hook of hooks
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean)) {
      results.push(await reconcileHook(context, hook, token));
    }
    return { state: "done", hooks: results };
  },
});

async function reconcileHook(context: Context<Tick>, hook: string, token: string) {
  const folder = `${pathOf(hook)}/deliveries`;
  const ask = (name: string, method: "GET" | "POST", path: string, read: (data: unknown) => unknown) =>
    askPatiently(context, name, async (signal) => {
      const asker = { token, base: optional(context, "GITHUB_API_URL"), signal };
      const answer = await askGitHub(asker, method, path);
      return { ...answer, data: answer.limited === null ? read(answer.data) : null };
    });

  const found: Delivery[] = [];
  let now = context.now;
  let path: string | null = `${folder}?per_page=100`;
  for (let page = 1; path && page <= MOST_PAGES; page++) {
    const answer: Answer = await ask(`list ${hook}, page ${page}`, "GET", path, (data) => deliveries.parse(data));
    const listed = answer.data as Delivery[];
    now = new Date(answer.at);
    found.push(...listed);
    const oldest = Date.parse(listed.at(-1)?.delivered_at ?? "");
    path = now.getTime() - oldest < KEPT_DAYS * 86_400_000 ? answer.next : null;
  }
  const { due, waiting, givenUp } = findLost(found, now);
  for (const { id } of due) await ask(`deliver ${id} again`, "POST", `${folder}/${id}/attempts`, () => null);
  if (givenUp > 0) context.log.warn("GitHub could not deliver events in five tries.", { hook, events: givenUp });
  return { hook, deliveries: found.length, redelivered: due.length, waiting, givenUp, ...(path ? { cut: true } : {}) };
}

/** `owner/repo:1` or `organization:1` as a path of the API. Throws `github-hooks.wrong`. */
function pathOf(hook: string): string {
  const [, owner, repository, id] = /^([\w.-]+)(?:\/([\w.-]+))?:(\d+)$/.exec(hook) ?? [];
  if (owner && id) return repository ? `/repos/${owner}/${repository}/hooks/${id}` : `/orgs/${owner}/hooks/${id}`;
  throw Object.assign(new Error(`GITHUB_HOOKS holds "${hook}", which names no webhook.`), {
    code: "github-hooks.wrong",
    next: "Write owner/repo:hook-id or organization:hook-id, with commas between; the id stands in the webhook's address on GitHub.",
  });
}

/** Asks, and when a limit is met sleeps without holding a process until GitHub wants to be asked again. */
async function askPatiently(
  { step }: Pick<Context, "step">,
  name: string,
  ask: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  for (let pause = 1; ; pause++) {
    const answer = await step.run(name, ask);
    if (answer.limited === null) return answer;
    if (pause > MOST_PAUSES)
      throw Object.assign(new Error("GitHub's limit was met again after each pause."), { code: "github.limited" });
    await step.sleep("GitHub's limit", `${answer.limited}s`);
  }
}

/** Of each event that never came through the last try: those to be asked for now, and how many wait or are given up. */
export function findLost(found: readonly Delivery[], now: Date) {
  const byEvent = [...Map.groupBy(found, (delivery) => delivery.guid).values()];
  const lost = byEvent
    .filter((tries) => !tries.some(({ status_code: status }) => status >= 200 && status < 300))
    .map((tries) => ({ last: tries.toSorted(newestFirst)[0]!, hours: HOURS[tries.length - 1] }));
  const isDue = ({ last, hours = Number.POSITIVE_INFINITY }: (typeof lost)[number]) =>
    now.getTime() - Date.parse(last.delivered_at) >= hours * 3_600_000;
  const due = lost.filter(isDue).map(({ last }) => last);
  const givenUp = lost.filter(({ hours }) => hours === undefined).length;
  return { due, waiting: lost.length - due.length - givenUp, givenUp };
}

const newestFirst = (one: Delivery, other: Delivery) => Date.parse(other.delivered_at) - Date.parse(one.delivered_at);
