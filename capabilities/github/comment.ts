import { defineTool, type Toolbox, z } from "daimon";
import { askGitHub } from "./api.ts";

const commented = z.object({ html_url: z.url() });

export const comment = defineTool({
  name: "github_comment",
  description: "Comments on an issue or pull request on GitHub, after the owner has read the comment and said yes.",
  input: z.object({
    repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, "must be owner/name"),
    issue: z.int().positive().describe("Its number."),
    text: z.string().trim().min(1).max(60_000).describe("Markdown, as it will stand there."),
  }),
  effect: "send",
  sink: ({ repository, issue }) => `https://github.com/${repository}/issues/${issue}`,
  approval: true,
  // https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
  run: async ({ repository, issue, text }, context) => {
    const asker = {
      token: context.secret("GITHUB_TOKEN"),
      base: optional(context, "GITHUB_API_URL"),
      signal: context.signal,
    };
    const answer = await askGitHub(asker, "POST", `/repos/${repository}/issues/${issue}/comments`, { body: text });
    if (answer.limited !== null)
      throw new Error(`GitHub takes no more for now; nothing was sent. Try again in ${answer.limited} seconds.`);
    return { url: commented.parse(answer.data).html_url };
  },
});

/** The value of a secret that may be missing. */
export function optional(context: Pick<Toolbox, "secret">, name: string): string | undefined {
  try {
    return context.secret(name);
  } catch {
    // Not set: the capability works without it.
    return undefined;
  }
}
