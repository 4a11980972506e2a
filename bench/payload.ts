/** The size of the bodies that are accepted, in bytes. */
export const BODY_BYTES = 2048;

/** A push as GitHub tells it, shortened to exactly BODY_BYTES; `n` makes it another one. */
export function githubBody(n: number): string {
  const sha = n.toString(16).padStart(40, "0");
  const commit = "https://github.com/Codertocat/Hello-World/commit";
  const owner = { login: "Codertocat", id: 21031067, type: "User", site_admin: false };
  const body = {
    ref: "refs/heads/main",
    before: "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    after: sha,
    created: false,
    deleted: false,
    forced: false,
    base_ref: null,
    repository: {
      id: 186853002,
      name: "Hello-World",
      full_name: "Codertocat/Hello-World",
      private: false,
      owner: { ...owner, url: "https://api.github.com/users/Codertocat" },
      html_url: "https://github.com/Codertocat/Hello-World",
      description: "",
      fork: false,
      created_at: 1557933565,
      pushed_at: 1557933657,
      default_branch: "main",
    },
    pusher: { name: "Codertocat", email: "21031067+Codertocat@users.noreply.github.com" },
    sender: owner,
    compare: `https://github.com/Codertocat/Hello-World/compare/6113728f27ae...${sha.slice(-12)}`,
    commits: [
      {
        id: sha,
        distinct: true,
        url: `${commit}/${sha}`,
        message: `Change number ${n}`,
        timestamp: "2026-11-22T10:00:00Z",
        author: { name: "Codertocat", email: "21031067+Codertocat@users.noreply.github.com" },
        added: ["README.md"],
        removed: [],
        modified: [],
      },
    ],
  };
  body.repository.description = "x".repeat(BODY_BYTES - JSON.stringify(body).length);
  return JSON.stringify(body);
}
