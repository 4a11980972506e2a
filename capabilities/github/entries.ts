import { type Context, type Note, readPayload, z } from "daimon";

const person = z.object({ login: z.string() });
const repository = z.object({ full_name: z.string() });
const common = { repository, sender: person };

const push = z.object({
  ...common,
  ref: z.string(),
  created: z.boolean(),
  deleted: z.boolean(),
  compare: z.url(),
  commits: z.array(z.object({ id: z.string(), message: z.string() })),
});
/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#issues */
export const issue = z.object({
  ...common,
  issue: z.object({ number: z.int(), title: z.string(), body: z.string().nullish(), html_url: z.url() }),
});
const pullRequest = z.object({
  ...common,
  pull_request: z.object({
    number: z.int(),
    title: z.string(),
    body: z.string().nullish(),
    html_url: z.url(),
    draft: z.boolean().optional(),
    head: z.object({ ref: z.string() }),
    base: z.object({ ref: z.string() }),
  }),
});
const release = z.object({
  ...common,
  release: z.object({
    tag_name: z.string(),
    name: z.string().nullish(),
    body: z.string().nullish(),
    html_url: z.url(),
    prerelease: z.boolean(),
  }),
});
const star = z.object({
  sender: person,
  repository: repository.extend({ stargazers_count: z.int(), html_url: z.url() }),
});
const ping = z.object({
  zen: z.string(),
  hook: z.object({ events: z.array(z.string()) }),
  repository: repository.optional(),
  organization: person.optional(),
});

/** How each type that we know is read. https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export const readers = {
  push: reader(push, (data) => {
    const [, kind = "", name = data.ref] = /^refs\/(heads|tags)\/(.*)$/s.exec(data.ref) ?? [];
    const place = `${kind === "tags" ? "tag" : "branch"} ${name}`;
    const count = data.commits.length;
    const commits = `${count} ${count === 1 ? "commit" : "commits"}`;
    const verb = data.deleted ? "deleted" : data.created && count === 0 ? "created" : `pushed ${commits} to`;
    const lines = data.commits.map(({ id, message }) => `${id.slice(0, 7)} ${message.split("\n")[0]}`);
    return {
      kind: "push",
      title: `Push: ${data.repository.full_name} ${name}`,
      summary: `${data.sender.login} ${verb} ${place} of ${data.repository.full_name}`,
      url: data.compare,
      facts: [["Repository", data.repository.full_name]],
      text: lines.join("\n"),
    };
  }),
  "issues.opened": reader(issue, ({ issue: { number, title, body, html_url }, ...data }) => ({
    kind: "issue",
    title: `Issue #${number}: ${title}`,
    summary: `${data.sender.login} opened issue #${number} in ${data.repository.full_name}`,
    url: html_url,
    facts: [["Repository", data.repository.full_name]],
    text: body ?? null,
  })),
  "pull_request.opened": reader(pullRequest, ({ pull_request: pull, ...data }) => ({
    kind: "pull-request",
    title: `Pull request #${pull.number}: ${pull.title}`,
    summary: `${data.sender.login} opened ${pull.draft ? "draft " : ""}pull request #${pull.number} in ${data.repository.full_name}`,
    url: pull.html_url,
    facts: [
      ["Repository", data.repository.full_name],
      ["Branches", `${pull.head.ref} into ${pull.base.ref}`],
    ],
    text: pull.body ?? null,
  })),
  "release.published": reader(release, ({ release: out, ...data }) => ({
    kind: "release",
    title: `Release: ${data.repository.full_name} ${out.name || out.tag_name}`,
    summary: `${data.sender.login} published ${out.prerelease ? "pre-release" : "release"} ${out.tag_name} of ${data.repository.full_name}`,
    url: out.html_url,
    facts: [["Tag", out.tag_name]],
    text: out.body ?? null,
  })),
  "star.created": reader(star, (data) => ({
    kind: "star",
    title: `Star: ${data.repository.full_name} by ${data.sender.login}`,
    summary: `${data.sender.login} starred ${data.repository.full_name}, which now has ${data.repository.stargazers_count}`,
    url: data.repository.html_url,
    facts: [],
    text: null,
  })),
  ping: reader(ping, (data) => ({
    kind: "ping",
    title: `Ping: GitHub reaches us for ${data.repository?.full_name ?? data.organization?.login ?? "an app"}`,
    summary: "GitHub tried the webhook that was set up, and it works",
    url: null,
    facts: [["It will send", data.hook.events.join(", ")]],
    text: data.zen,
  })),
} satisfies Record<string, Reader>;

type Reader = (event: Context["event"]) => Note;

/** Reads an event of one type; what is not as GitHub documents it fails for good, naming the first place. */
function reader<Data>(shape: z.ZodType<Data>, read: (data: Data) => Note): Reader {
  return (event) => read(readPayload(shape, event));
}
